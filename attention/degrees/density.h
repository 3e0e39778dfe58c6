// DistanceCounts: how many pairs of tokens are at each distance, and what density a gate gives.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace filigree {

/// Pairs (query i, key j) of some sequences, added up. The always-on edges U of a sequence are
/// i = j and the rows and columns of its global tokens; a gate g decides over the others:
///     c_d   = pairs outside U with |i - j| = d      (2 (n - d) without global tokens)
///     pairs = sum of n^2,   always = sum of |U|
/// Sums over sequences weigh each by its n^2, as the density of a batch or split does. Values are
/// numbers of edges, exact.
class DistanceCounts {
 public:
  /// Of no sequence yet, for distances to `reach` = R; what lies beyond is seen by U alone. Throws
  /// ConfigError unless R >= 0. Memory O(R).
  explicit DistanceCounts(int64_t reach);

  /// Adds a sequence of n tokens with the given global tokens, ascending and from 0 to n - 1. An
  /// empty sequence adds nothing. Throws ShapeError for n < 0, DataError for the tokens. Cost
  /// O(min(R, n) + G min(G, R)) for G global tokens: pairs at distance d, less those that start or
  /// end at a global token, plus those that do both.
  void add(int64_t length, std::span<const int32_t> globals = {});
  /// Adds what was counted elsewhere, for the same reach (ShapeError). Cost O(R).
  void add(const DistanceCounts& other);

  int64_t reach() const { return static_cast<int64_t>(at_.size()) - 1; }
  int64_t at(int64_t d) const { return at_[static_cast<size_t>(d)]; }  ///< c_d; c_0 = 0
  int64_t always() const { return always_; }
  int64_t pairs() const { return pairs_; }

  /// Edges of a head in which every token has this reach, from 0 to R (ShapeError): always + sum_{d
  /// <= reach} c_d. Cost O(reach).
  int64_t edges(int64_t reach) const;

  /// Expected density of a head, rho = (always + sum_{d >= 1} c_d g(d)) / pairs, for a tail g
  /// (R+1). Throws ShapeError for another size and if no token was counted. Cost O(R).
  double density(std::span<const double> g) const;
  /// d rho / d g(d) = c_d / pairs (R+1); 0 at d = 0. Throws ShapeError if no token was counted.
  std::vector<double> density_gradient() const;

  /// Throws ConfigError unless a head can have this density: at most 1, and at least that of the
  /// edges that are always on; ShapeError if no token was counted.
  void expect_feasible(std::string_view where, double density) const;

 private:
  void expect_tokens() const;

  std::vector<int64_t> at_;  // (R+1)
  int64_t always_ = 0, pairs_ = 0;
};

}  // namespace filigree
