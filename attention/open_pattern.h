// OpenPattern: a pattern's text with one number left open, for match:density to solve.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "attention/pattern.h"

namespace filigree {

/// A pattern in which one number is "?": "neighbour:?|global:cls". Those that can be open are the
/// numbers of neighbour, block, random, syntax and lexical, the first of dilated and the k of
/// global:first=k: a larger one never means fewer edges of that part.
class OpenPattern {
 public:
  /// Reads [first, last) of a text. Throws ConfigError that shows the text and points at the place.
  OpenPattern(std::string_view text, size_t first, size_t last);

  /// Smallest number that the part takes.
  int64_t least() const { return least_; }
  /// The text with this number.
  std::string with(int64_t number) const;
  /// Between with(number) and with(number + 1): the part has its edges under `number`, and the
  /// given share of those that number + 1 has beyond them (for random: of one more draw a token).
  /// The share counts with six digits; 0 gives with(number).
  std::string between(int64_t number, double share) const;
  /// As it was written, without blanks at its ends: "neighbour:?|global:cls".
  std::string text() const;

 private:
  std::string part_with(int64_t number) const;

  std::string before_, after_;            // what stands around the part
  std::string part_before_, part_after_;  // what stands around the number in the part
  int64_t least_ = 0;
  bool drawn_ = false;
};

}  // namespace filigree
