#include "core/kernels/optimizer.h"

#include <cmath>

namespace filigree {

AdamWFactors adamw_factors(const AdamWStep& step, double beta1, double beta2) {
  const auto t = static_cast<double>(step.t);
  return {step.learning_rate / (1 - std::pow(beta1, t)), 1 / std::sqrt(1 - std::pow(beta2, t)),
          step.learning_rate * step.weight_decay};
}

void expect_optimizer_state(std::string_view op, const Tensor& weight, const Tensor& state,
                            std::string_view name) {
  expect_shape(op, name, weight.shape(), state.shape());
  expect_same_kind(op, weight, state);
}

}  // namespace filigree
