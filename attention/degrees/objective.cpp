#include "attention/degrees/objective.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include "attention/degrees/progress.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr double kStiffest = 100;                     // mu at the last step; 1 at the first
constexpr double kRise = 0.02, kSteepestFall = -0.1;  // of the logarithm of a price, a step
constexpr double kPriceRange = 100;                   // from the first price to the highest

void expect_finite(double rho) {
  if (std::isfinite(rho)) return;
  throw NumericError("degrees", fmt::format("the density is {}", rho),
                     "lower the learning rate of the degrees, or clip their gradient");
}

}  // namespace

ObjectiveKind parse_objective(std::string_view name) {
  static constexpr std::array<std::string_view, 3> kNames{"target", "penalty", "loss"};
  for (size_t k = 0; k < kNames.size(); ++k) {
    if (kNames[k] == name) return static_cast<ObjectiveKind>(k);
  }
  const std::string nearest = nearest_name(name, kNames);
  throw ConfigError("degrees", fmt::format("there is no objective \"{}\"", name),
                    nearest.empty() ? "target, penalty or loss"
                                    : fmt::format("the nearest name is \"{}\"", nearest));
}

void DensityObjective::check() const {
  if (!(density > 0 && density <= 1)) {
    throw ConfigError("degrees", fmt::format("a target density of {}", density),
                      "give a share of all pairs above 0 and at most 1: 0.1 is 90 % sparse");
  }
  if (!(beta >= 0) || !std::isfinite(beta)) {
    throw ConfigError("degrees", fmt::format("a penalty of {} on density", beta),
                      "give a finite number >= 0");
  }
  if (kind == ObjectiveKind::loss && !(loss > 0 && std::isfinite(loss) && beta > 0)) {
    throw ConfigError("degrees",
                      fmt::format("a limit of {} on the loss, a price of at most {}", loss, beta),
                      "give both as finite numbers above 0: the limit a little above the loss of "
                      "the dense model");
  }
  if (!(anneal >= 0 && anneal <= 1)) {
    throw ConfigError("degrees", fmt::format("annealed over a share of {} of the steps", anneal),
                      "give a number from 0 to 1");
  }
  if (steps < 1) {
    throw ConfigError("degrees", fmt::format("degrees learned in {} steps", steps),
                      "give at least 1 step");
  }
}

double DensityObjective::annealed(int64_t step) const {
  const double x = progress_of(step, steps);
  return x >= anneal ? 1 : x / anneal;
}

double DensityObjective::allowed(int64_t step) const {
  const double left = 1 - annealed(step);
  return density + (1 - density) * left * left * left;
}

double DensityObjective::stiffness(int64_t step) const {
  return std::pow(kStiffest, progress_of(step, steps));
}

double DensityObjective::price(int64_t step, double task_loss, const ObjectiveState& state) const {
  if (kind == ObjectiveKind::penalty) return beta * annealed(step);
  const double ease = 1 - task_loss / loss;
  return ease > 0 ? beta * std::exp(state.multiplier) / kPriceRange * ease : 0;
}

double DensityObjective::pressure(int64_t step, double rho, const ObjectiveState& state) const {
  expect_finite(rho);
  return state.multiplier + stiffness(step) * (rho - allowed(step));
}

ObjectiveValue DensityObjective::at(int64_t step, double rho, double task_loss,
                                    const ObjectiveState& state) const {
  const double slope = pressure(step, rho, state);
  if (kind != ObjectiveKind::target) {
    const double each = price(step, task_loss, state);
    return {each * rho, each};
  }
  const double excess = rho - allowed(step);
  return {(state.multiplier + slope) / 2 * excess, slope};
}

void DensityObjective::advance(int64_t step, double rho, double task_loss,
                               ObjectiveState& state) const {
  const double pressed = pressure(step, rho, state);
  if (kind == ObjectiveKind::target && (step + 1) % kUpdateEvery == 0) state.multiplier = pressed;
  if (kind != ObjectiveKind::loss) return;
  if (!std::isfinite(task_loss)) {
    throw NumericError("degrees", fmt::format("the task's loss is {}", task_loss),
                       "lower the learning rate");
  }
  const double change = std::max(kSteepestFall, kRise * (1 - task_loss / loss));
  state.multiplier = std::min(std::log(kPriceRange), state.multiplier + change);
}

}  // namespace filigree
