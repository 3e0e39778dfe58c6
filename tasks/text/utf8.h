// UTF-8: validation with positions, and the words of a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace filigree {

/// Bytes [begin, end) of a text.
struct ByteSpan {
  int64_t begin = 0;
  int64_t end = 0;
  bool operator==(const ByteSpan&) const = default;
};

/// Decodes the character that begins at byte `at` < size and moves `at` behind it. Negative if it is
/// malformed. (ICU's macros know 32-bit offsets only.)
int32_t next_character(std::string_view text, int64_t& at);

/// Offset of the first byte that is not part of well-formed UTF-8 (RFC 3629: no overlong form, no
/// surrogate, nothing above U+10FFFF), or nothing if the text is well-formed. Cost O(bytes).
std::optional<int64_t> invalid_utf8(std::string_view text);

/// Throws DataError "[where] ... byte 0xff at offset 12 ..." unless the text is well-formed UTF-8.
void require_utf8(std::string_view where, std::string_view text);

/// The words of a text: maximal runs of letters, digits and marks (an apostrophe or hyphen between
/// two letters belongs to its word), and every other visible character by itself. Spans ascend and
/// do not overlap. The text must be well-formed UTF-8. Cost O(bytes).
std::vector<ByteSpan> split_words(std::string_view text);

/// The text without differences of case: Unicode's full case folding ("STRASSE" and "Strasse"
/// are one). The text must be well-formed UTF-8. Cost O(bytes).
std::string fold_case(std::string_view text);

/// The longest prefix of at most `bytes` bytes that does not cut a character.
std::string_view utf8_prefix(std::string_view text, int64_t bytes);

/// A text made safe and short for an error message: quoted, at most `characters` bytes, with "..."
/// if cut, control and malformed bytes shown as \xNN.
std::string excerpt(std::string_view text, int64_t characters = 40);

}  // namespace filigree
