#include "tasks/text/sentences.h"

#include <memory>
#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include "core/error.h"

namespace filigree {

namespace {

constexpr std::string_view kSpaces = " \t\r\n\v\f";

void check(UErrorCode status) {
  if (U_SUCCESS(status)) return;
  throw DataError("sentences", std::string("ICU cannot split sentences: ") + u_errorName(status),
                  "install ICU with its data");
}

/// Adds what stands in [begin, end), unless it is blank.
void add(std::string_view text, size_t begin, size_t end, std::vector<ByteSpan>& sentences) {
  begin = text.find_first_not_of(kSpaces, begin);
  if (begin >= end) return;  // npos, too
  end = text.find_last_not_of(kSpaces, end - 1) + 1;
  sentences.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(end)});
}

bool is_space(std::string_view text, size_t at) {
  return at >= text.size() || kSpaces.find(text[at]) != std::string_view::npos;
}

/// Divides [begin, end) behind tokens that are one mark of a sentence's end.
void add_parts(std::string_view text, size_t begin, size_t end, std::vector<ByteSpan>& sentences) {
  for (size_t at = begin + 1; at < end; ++at) {
    const bool mark = text[at] == '.' || text[at] == '!' || text[at] == '?';
    if (!mark || !is_space(text, at - 1) || !is_space(text, at + 1)) continue;
    // The mark belongs to what is before it; closing quotation marks and the like follow on it.
    add(text, begin, at + 1, sentences);
    begin = at + 1;
  }
  add(text, begin, end, sentences);
}

}  // namespace

std::vector<ByteSpan> split_sentences(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  thread_local const std::unique_ptr<icu::BreakIterator> rules(
      icu::BreakIterator::createSentenceInstance(icu::Locale("en_US@ss=standard"), status));
  check(status);
  UText* opened = utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status);
  check(status);
  const std::unique_ptr<UText, UText* (*)(UText*)> input(opened, utext_close);
  rules->setText(input.get(), status);
  check(status);
  std::vector<ByteSpan> sentences;
  auto begin = static_cast<size_t>(rules->first());
  for (int32_t end = rules->next(); end != icu::BreakIterator::DONE; end = rules->next()) {
    add_parts(text, begin, static_cast<size_t>(end), sentences);
    begin = static_cast<size_t>(end);
  }
  return sentences;
}

}  // namespace filigree
