// ReachDraws: every token draws its own reach, and how the draws lead back to the logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/pattern.h"

namespace filigree {

/// The temperature of the draws: 2 at the first of `steps` steps, 0.5 at the last, exponential
/// between (the shape is our choice). Cost O(1).
double draw_temperature(int64_t step, int64_t steps);

/// Draws of one head by the Gumbel-max trick and its relaxation (Jang et al., arXiv 1611.01144;
/// Maddison et al., arXiv 1611.00712). With noise G_ik = - ln E_ik, E_ik = - ln U_ik exponential:
///     hard   argmax_k (theta_k + G_ik) = argmin_k E_ik / p_k, which is k with probability p_k
///     soft   z_i = softmax((theta + G_i) / tau), so z_ik is proportional to (p_k / E_ik)^(1/tau)
/// The largest z is that of the hard draw. U_ik = (word k % 4 of philox(key, token, k / 4) + 1/2) /
/// 2^32, the key mixed of (seed, purpose, step, layer, head): a draw depends on these and on its
/// token alone, and nothing is kept. Immutable, so threads may share it.
class ReachDraws {
 public:
  /// p (K), as of reach_probabilities(). Throws as expect_probabilities(), ConfigError unless
  /// 0.01 <= tau < infinity. Cost O(K).
  ReachDraws(std::vector<double> p, double tau, const GraphKey& key);
  /// Throws ConfigError unless 0.01 <= tau < infinity.
  static void expect_temperature(double tau);
  /// Of all random numbers of a head's draws; its tokens and reaches are the counter.
  static uint64_t key_of(const GraphKey& key);

  int64_t count() const { return static_cast<int64_t>(p_.size()); }  ///< K

  /// Index k of the reach that a token draws. Cost O(K): K / 4 random blocks, K logarithms;
  /// measured 12 ns a reach on one core.
  int64_t hard(int64_t token) const;
  /// The same, and z (K). Throws ShapeError for another size. Cost O(K): K powers on top; 29 ns a
  /// reach.
  int64_t soft(int64_t token, std::span<double> z) const;

  /// The straight-through estimator (Bengio et al., arXiv 1308.3432): hard draws forward, soft ones
  /// backward. Adds to dL/dtheta what the draw z of one token gives:
  ///     z_k (dL/dz_k - sum_j z_j dL/dz_j) / tau
  /// where dL/dz of a token is probability_gradient() of its own dL/dm(d), d = |i - j|. All (K), or
  /// ShapeError. Cost O(K).
  void add_logit_gradient(std::span<const double> z, std::span<const double> z_gradient,
                          std::span<double> logit_gradient) const;

 private:
  template <class Body>
  void for_times(int64_t token, Body body) const;

  std::vector<double> p_;  // (K)
  double tau_;
  uint64_t key_;
};

}  // namespace filigree
