#include "attention/open_pattern.h"

#include <fmt/format.h>

#include "attention/pattern_parser.h"

namespace filigree {

OpenPattern::OpenPattern(std::string_view text, size_t first, size_t last) {
  OpenNumber open;
  parse_open_pattern(text, first, last, open);
  before_ = text.substr(first, open.part - first);
  part_before_ = text.substr(open.part, open.mark - open.part);
  part_after_ = text.substr(open.mark + 1, open.part_end - open.mark - 1);
  after_ = text.substr(open.part_end, last - open.part_end);
  before_.erase(0, before_.find_first_not_of(' '));
  after_.erase(after_.find_last_not_of(' ') + 1);
  least_ = open.least;
  drawn_ = open.drawn;
}

std::string OpenPattern::part_with(int64_t number) const {
  return fmt::format("{}{}{}", part_before_, number, part_after_);
}

std::string OpenPattern::with(int64_t number) const { return before_ + part_with(number) + after_; }

std::string OpenPattern::between(int64_t number, double share) const {
  const std::string digits = fmt::format("{:.6f}", share);
  if (digits == "0.000000") return with(number);
  const std::string less = part_with(number);
  // Two draws of r and r + 1 edges have little in common: there the rest is a draw of its own.
  const std::string rest =
      drawn_ ? part_with(1) : fmt::format("({}-{})", part_with(number + 1), less);
  return fmt::format("{}({}|{}*{}){}", before_, less, rest, digits, after_);
}

std::string OpenPattern::text() const {
  return before_ + part_before_ + "?" + part_after_ + after_;
}

}  // namespace filigree
