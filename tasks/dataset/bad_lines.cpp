#include "tasks/dataset/bad_lines.h"

#include <algorithm>
#include <fmt/format.h>

namespace filigree {

namespace {

/// An error as one line: "[file:line] reason (hint)".
std::string on_one_line(const Error& error) {
  constexpr std::string_view kHint = "\nhint: ";
  std::string text = error.what();
  if (const size_t at = text.find(kHint); at != std::string::npos) {
    text = text.substr(0, at) + " (" + text.substr(at + kHint.size()) + ")";
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

void check(const BadLineOptions& options) {
  if (options.skip_bad_lines < 0) {
    throw ConfigError("skip-bad-lines",
                      fmt::format("expected 0 or more, got {}", options.skip_bad_lines));
  }
  if (options.show_bad_lines < 0) {
    throw ConfigError("show-bad-lines",
                      fmt::format("expected 0 or more, got {}", options.show_bad_lines));
  }
  if (options.strict && options.skip_bad_lines > 0) {
    throw ConfigError("strict", "--strict and --skip-bad-lines exclude each other");
  }
}

void BadLines::add(const DataError& error) {
  if (options_.strict) throw;  // the one that is being handled
  ++count_;
  if (std::ssize(shown_) < options_.show_bad_lines) shown_.push_back(on_one_line(error));
}

void BadLines::expect_few(const std::string& where, int64_t good) const {
  if (count_ <= options_.skip_bad_lines) return;
  std::string text = fmt::format("{} bad line{}, {} good", count_, count_ == 1 ? "" : "s", good);
  for (const std::string& line : shown_) text += "\n  " + line;
  const int64_t more = count_ - std::ssize(shown_);
  if (more > 0) text += fmt::format("\n  and {} more (--show-bad-lines)", more);
  throw DataError(where, text,
                  fmt::format("correct them, or leave them out with --skip-bad-lines {}", count_));
}

}  // namespace filigree
