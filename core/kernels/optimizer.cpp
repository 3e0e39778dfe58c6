#include "core/kernels/optimizer.h"

#include <cmath>

namespace filigree {

AdamWFactors adamw_factors(const AdamWParameter& parameter, const AdamWStep& step, double beta1,
                           double beta2) {
  const auto t = static_cast<double>(step.t);
  return {parameter.learning_rate / (1 - std::pow(beta1, t)), 1 / std::sqrt(1 - std::pow(beta2, t)),
          parameter.learning_rate * parameter.weight_decay};
}

void expect_adamw(std::span<const AdamWParameter> parameters) {
  for (const AdamWParameter& each : parameters) {
    expect_same_kind("adamw", parameters.front().weight, each.weight);
    expect_optimizer_state("adamw", each.weight, each.gradient, "gradient");
    expect_optimizer_state("adamw", each.weight, each.m, "m");
    expect_optimizer_state("adamw", each.weight, each.v, "v");
  }
}

void expect_optimizer_state(std::string_view op, const Tensor& weight, const Tensor& state,
                            std::string_view name) {
  expect_shape(op, name, weight.shape(), state.shape());
  expect_same_kind(op, weight, state);
}

}  // namespace filigree
