// Reaches: the distances up to which a token may look, over which degrees are learned.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace filigree {

/// The grid r_0 = 0 < r_1 < ... < r_{K-1} = R. A token of reach r sees the tokens at most r away.
/// Immutable, and always such a grid.
class Reaches {
 public:
  /// Every whole number to R for R <= 128. Beyond, every whole number to 128 and then
  ///     round(128 (R / 128)^(s / S)),  s = 1 .. S,  S = ceil(16 log2(R / 128)):
  /// 16 reaches or a few more an octave, at most 4.5 % apart but for rounding, so that K =
  /// O(log R): 161 at R = 512, 209 at R = 4096. The spacing is our choice. Throws ConfigError
  /// unless 0 <= R < 2^31. Cost O(K).
  static Reaches up_to(int64_t largest);

  /// Any grid, such as a saved one. Throws ConfigError unless it starts at 0, rises strictly and
  /// ends below 2^31. Cost O(K).
  explicit Reaches(std::vector<int64_t> values);

  int64_t count() const { return static_cast<int64_t>(values_.size()); }  ///< K
  int64_t largest() const { return values_.back(); }                      ///< R
  int64_t operator[](int64_t k) const { return values_[static_cast<size_t>(k)]; }
  std::span<const int64_t> values() const { return values_; }

 private:
  std::vector<int64_t> values_;
};

}  // namespace filigree
