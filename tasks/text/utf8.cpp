#include "tasks/text/utf8.h"

#include <algorithm>
#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include "core/error.h"

namespace filigree {

namespace {

bool is_word_character(UChar32 c) {
  return u_isalnum(c) || (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_NL_MASK | U_GC_NO_MASK)) != 0;
}

bool joins_letters(UChar32 c) { return c == '\'' || c == '-' || c == 0x2019; }

}  // namespace

int32_t next_character(std::string_view text, int64_t& at) {
  const int64_t left = static_cast<int64_t>(text.size()) - at;
  const char* bytes = text.data() + at;
  const int32_t limit = static_cast<int32_t>(std::min<int64_t>(left, U8_MAX_LENGTH));
  int32_t used = 0;
  UChar32 character = 0;
  U8_NEXT(bytes, used, limit, character);
  at += used;
  return character;
}

std::optional<int64_t> invalid_utf8(std::string_view text) {
  const int64_t size = static_cast<int64_t>(text.size());
  for (int64_t at = 0; at < size;) {
    if (static_cast<uint8_t>(text[static_cast<size_t>(at)]) < 0x80) {
      ++at;
      continue;
    }
    const int64_t start = at;
    if (next_character(text, at) < 0) return start;
  }
  return std::nullopt;
}

void require_utf8(std::string_view where, std::string_view text) {
  const std::optional<int64_t> at = invalid_utf8(text);
  if (!at) return;
  throw DataError(where,
                  fmt::format("not UTF-8: byte 0x{:02x} at byte {} of the text",
                              static_cast<uint8_t>(text[static_cast<size_t>(*at)]), *at + 1),
                  "convert the file, e.g. iconv -f latin1 -t utf-8 FILE");
}

std::vector<ByteSpan> split_words(std::string_view text) {
  std::vector<ByteSpan> words;
  const int64_t size = static_cast<int64_t>(text.size());
  bool in_word = false;  // the last word is still open
  for (int64_t at = 0; at < size;) {
    const int64_t start = at;
    const UChar32 c = next_character(text, at);
    if (is_word_character(c)) {
      if (in_word) {
        words.back().end = at;
      } else {
        words.push_back({start, at});
      }
      in_word = true;
      continue;
    }
    if (in_word && joins_letters(c) && u_isalpha(c) == 0 && at < size) {
      int64_t behind = at;
      const UChar32 next = next_character(text, behind);
      if (u_isalpha(next)) continue;  // the next letter extends the word over this character
    }
    in_word = false;
    if (c < 0 || !u_isUWhiteSpace(c)) words.push_back({start, at});
  }
  return words;
}

std::string fold_case(std::string_view text) {
  const auto is_ascii = [](char c) { return static_cast<uint8_t>(c) < 0x80; };
  std::string folded(text);
  if (std::all_of(text.begin(), text.end(), is_ascii)) {
    for (char& c : folded) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return folded;
  }
  folded.clear();
  const icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  icu::UnicodeString::fromUTF8(piece).foldCase().toUTF8String(folded);
  return folded;
}

std::string_view utf8_prefix(std::string_view text, int64_t bytes) {
  if (static_cast<int64_t>(text.size()) <= bytes) return text;
  size_t end = static_cast<size_t>(std::max<int64_t>(bytes, 0));
  while (end > 0 && U8_IS_TRAIL(static_cast<uint8_t>(text[end]))) --end;
  return text.substr(0, end);
}

std::string excerpt(std::string_view text, int64_t characters) {
  const std::string_view shown = utf8_prefix(text, characters);
  std::string result = "\"";
  for (int64_t at = 0; at < static_cast<int64_t>(shown.size());) {
    const int64_t start = at;
    const UChar32 c = next_character(shown, at);
    for (int64_t i = start; i < at; ++i) {
      const char byte = shown[static_cast<size_t>(i)];
      if (c < 0x20 || c == 0x7f) {
        result += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
      } else {
        result += byte;
      }
    }
  }
  return result + (shown.size() < text.size() ? "...\"" : "\"");
}

}  // namespace filigree
