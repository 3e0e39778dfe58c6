// What the density of attention costs while degrees are learned.
#pragma once

#include <cstdint>
#include <string_view>

namespace filigree {

enum class ObjectiveKind : uint8_t {
  target,   ///< augmented Lagrangian: rho is to be a target
  penalty,  ///< a price of density that rises to beta
  loss,     ///< as sparse as the task allows: density has a price while its loss is below a limit
};
/// Throws ConfigError with the nearest name.
ObjectiveKind parse_objective(std::string_view name);

/// What an objective learns on its way. Saved and restored as it is; the rest follows from the
/// step.
struct ObjectiveState {
  double multiplier = 0;  ///< lambda; of `loss` the logarithm of a factor of the price
};

struct ObjectiveValue {
  double value = 0;  ///< what is added to the loss of the task
  double slope = 0;  ///< d value / d rho
};

/// A term of the loss in the mean density rho of all heads and layers, at step 0 .. steps - 1:
///     penalty   beta min(1, x / a) rho
///     loss      beta (e^lambda / 100) max(0, 1 - L / l) rho
///     target    lambda (rho - rho*) + mu (rho - rho*)^2 / 2
/// The third is the augmented Lagrangian of the constraint rho = rho* (Nocedal and Wright,
/// Numerical Optimization, section 17.3; Bertsekas 1982). An equality, although less would be
/// allowed: momentum carries rho below rho*, where the one-sided form lets go, and what has closed
/// comes back slowly; so the budget would be left to the hardener to spend. With
/// x = step / (steps - 1) and the share a = `anneal` of the steps
///     rho*(x) = target + (1 - target) (1 - min(1, x / a))^3      mu(x) = 100^x
/// so that price and constraint close in over that share (the cubic of Zhu and Gupta, arXiv
/// 1710.01878) and the constraint stiffens to the end; the exponential growth of mu is our choice.
/// Of `loss`, L is the task's loss of the step and l its limit:
///     lambda <- min(ln 100, lambda + max(-0.1, 0.02 (1 - L / l)))    every step
/// The price begins at a hundredth of beta and doubles in 35 steps while the task is easy, to beta
/// at most; where the task is not solved, density costs nothing at once. So heads close until the
/// loss comes near its limit. beta bounds what a distance may save at the task's expense: without a
/// bound the price grows while nothing can move, and then tears down what the task needs before a
/// loss is seen (measured). Mirror ascent on the multiplier of L <= l with a proportional term; all
/// rates are our choice.
/// Pure functions; cost O(1).
struct DensityObjective {
  ObjectiveKind kind = ObjectiveKind::target;
  double beta = 0;      ///< >= 0, of `penalty` and `loss`: the highest price
  double density = 1;   ///< the target, in (0, 1]
  int64_t steps = 1;    ///< of the learning stage
  double anneal = 0.5;  ///< share of the steps, in [0, 1]; 0: none, all holds from the start
  double loss = 0;      ///< > 0, of `loss`: the limit on the task's loss

  /// Steps from one update of the multiplier to the next.
  static constexpr int64_t kUpdateEvery = 50;

  /// Throws ConfigError for settings out of range.
  void check() const;
  double allowed(int64_t step) const;    ///< rho*
  double stiffness(int64_t step) const;  ///< mu

  /// Value and slope at a density and a loss of the task. Throws NumericError unless rho is finite.
  /// Where the loss is not, `loss` has no price.
  ObjectiveValue at(int64_t step, double rho, double task_loss, const ObjectiveState& state) const;
  /// At the end of a step: lambda <- lambda + mu (rho - rho*) if it is the 50th, 100th ...;
  /// `penalty` has no multiplier, that of `loss` moves by the task's loss. rho: of the batch or,
  /// without the noise of its lengths, of the split. Throws NumericError unless both are finite.
  void advance(int64_t step, double rho, double task_loss, ObjectiveState& state) const;

 private:
  double annealed(int64_t step) const;  // min(1, x / a)
  double price(int64_t step, double task_loss, const ObjectiveState& state) const;
  double pressure(int64_t step, double rho, const ObjectiveState& state) const;
};

}  // namespace filigree
