// What the readers of pattern texts share. Private to attention.
#pragma once

#include <cstdint>
#include <string_view>

#include "attention/pattern.h"

namespace filigree {

/// Throws ConfigError that shows the text with a caret below the character at `position`.
[[noreturn]] void throw_at(std::string_view text, size_t position, std::string_view what,
                           std::string_view hint = {});

/// The pattern in [first, last) of a text; errors show all of the text.
Pattern parse_pattern(std::string_view text, size_t first, size_t last);

/// Where in a text the one number stands that is "?".
struct OpenNumber {
  size_t part = 0;      ///< first character of the part that has it: "neighbour" of "neighbour:?"
  size_t mark = 0;      ///< the question mark
  size_t part_end = 0;  ///< behind the part's last argument
  int64_t least = 0;    ///< smallest number that the part takes
  bool drawn = false;   ///< the part draws edges at random
};

/// Like parse_pattern() for a pattern with exactly one open number, which counts as its smallest
/// sensible value. Throws ConfigError that points at the place for none, for a second, and for one
/// that cannot be open.
Pattern parse_open_pattern(std::string_view text, size_t first, size_t last, OpenNumber& open);

}  // namespace filigree
