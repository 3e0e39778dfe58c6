#include "tasks/tokenizer/gpt2_split.h"

#include <array>
#include <unicode/uchar.h>

namespace filigree {

namespace {

enum class Class { letter, number, space, other };

Class class_of(UChar32 c) {
  const uint32_t category = U_GET_GC_MASK(c);
  if ((category & U_GC_L_MASK) != 0) return Class::letter;
  if ((category & U_GC_N_MASK) != 0) return Class::number;
  return u_isUWhiteSpace(c) != 0 ? Class::space : Class::other;
}

/// Where the contraction that stands here ends, or `at`.
int64_t contraction_end(std::string_view text, int64_t at) {
  constexpr std::array<std::string_view, 7> kContractions{"'s", "'t",  "'re", "'ve",
                                                          "'m", "'ll", "'d"};
  const std::string_view rest = text.substr(static_cast<size_t>(at));
  for (const std::string_view contraction : kContractions) {
    if (rest.starts_with(contraction)) return at + static_cast<int64_t>(contraction.size());
  }
  return at;
}

/// Behind the run of characters of a class that begins here; `last` is where its last one begins.
int64_t run_end(std::string_view text, int64_t at, Class wanted, int64_t& last) {
  const auto size = static_cast<int64_t>(text.size());
  last = at;
  while (at < size) {
    int64_t behind = at;
    if (class_of(next_character(text, behind)) != wanted) break;
    last = at;
    at = behind;
  }
  return at;
}

int64_t part_end(std::string_view text, int64_t begin) {
  const auto size = static_cast<int64_t>(text.size());
  if (const int64_t end = contraction_end(text, begin); end > begin) return end;
  int64_t last = 0, behind = begin;
  Class first = class_of(next_character(text, behind));
  int64_t at = begin;
  if (text[static_cast<size_t>(begin)] == ' ' && behind < size) {
    int64_t next = behind;
    const Class second = class_of(next_character(text, next));
    if (second != Class::space) {  // one blank belongs to what follows
      first = second;
      at = behind;
    }
  }
  const int64_t end = run_end(text, at, first, last);
  // Of several white-space characters before a word the last is left to it.
  return first == Class::space && end < size && last > begin ? last : end;
}

}  // namespace

std::vector<ByteSpan> split_gpt2(std::string_view text) {
  std::vector<ByteSpan> parts;
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t begin = 0; begin < size;) {
    const int64_t end = part_end(text, begin);
    parts.push_back({begin, end});
    begin = end;
  }
  return parts;
}

}  // namespace filigree
