// HardReach: how far each token of a head looks once its degrees are integers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attention/degrees/reaches.h"

namespace filigree {

/// Token i of a sequence, counted from its first, sees the tokens at most of(i) away: the same for
/// all (regular), or frozen by position (irregular):
///     of(i) = F^-1(frac(shift + i / phi)),   F(k) = p_0 + .. + p_k,   phi the golden ratio
/// where F^-1(u) is the first reach whose F exceeds u. The rotation is exact, in 64-bit fixed
/// point, so that position 10^6 is as good as position 0.
///
/// Of the first n tokens the number with a reach of at most r_k is n F(k), but for less than
/// (1 + 1/sqrt 5) Z(n) tokens, Z(n) the number of terms in n's Zeckendorf representation (the sum
/// of distinct Fibonacci numbers, no two neighbours): 1 if n is a Fibonacci number, at most about
/// log_phi(n) / 2. That is O(log n / n) of the tokens; no sequence has a smaller order for all n
/// and all cuts (W. M. Schmidt 1972). The largest over all n <= 4096, every p and every shift
/// is 4.29 tokens, at n = 3740. Why: F_m steps by 1 / phi are F_m evenly spaced points, each moved
/// the same way by less than 1 / (sqrt 5 F_m); an arc of length b holds F_m b of them, give or take
/// 1 + 1 / sqrt 5, and n tokens are Z(n) such stretches.
class HardReach {
 public:
  /// The same for every token. Throws ConfigError unless 0 <= reach < 2^31.
  explicit HardReach(int64_t reach);
  /// Irregular: p (K) over the grid, shift in [0, 1). Throws ShapeError, NumericError for p,
  /// ConfigError for the shift. Cost O(K).
  HardReach(const Reaches& reaches, std::vector<double> p, double shift);

  /// Cost O(log K). i >= 0.
  int64_t of(int64_t i) const;
  /// For a sequence of n tokens, as SequenceGraph::from_reaches() takes them on both sides: the
  /// interval of token i is [i - of(i), i + of(i)]. Cost O(n log K).
  std::vector<int32_t> of_sequence(int64_t length) const;
  /// The pattern that has these windows (docs/attention.md): "neighbour:r", or
  /// "irregular:SHIFT,r,p,r,p,.." with nine decimals of each number.
  std::string pattern() const;
  bool regular() const { return reach_.size() == 1; }
  int64_t largest() const { return reach_.back(); }  ///< no token looks further

  /// What an irregular one is made of, to be saved; it comes back with the same bits.
  std::span<const int64_t> reaches() const { return reach_; }
  std::span<const double> probabilities() const { return p_; }
  double shift() const { return shift_; }

 private:
  std::vector<int64_t> reach_;    // (K)
  std::vector<double> p_, upto_;  // (K); upto_ = F
  double shift_ = 0;
};

}  // namespace filigree
