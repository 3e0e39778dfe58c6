// Optimizer steps, in place.
#pragma once

#include <span>

#include "core/kernels/kernel.h"

namespace filigree {

/// One parameter of an AdamW step: what is read and changed.
struct AdamWParameter {
  Tensor gradient, weight, m, v;
  double learning_rate, weight_decay;
};
/// One AdamW step (Loshchilov and Hutter, arXiv 1711.05101), t counted from 1.
struct AdamWStep {
  double beta1, beta2, eps;
  int64_t t;
  double gradient_scale = 1;  ///< every gradient is multiplied by this first (clipping)
  Tensor device_scale = {};   ///< instead, if defined: a scalar, f64, of judge_step(); NaN: no step
};

/// One SGD step with momentum.
struct SgdStep {
  double learning_rate, momentum, weight_decay;
  double gradient_scale = 1;
  Tensor device_scale = {};  ///< as AdamW's
};

/// The numbers of an AdamW step that all elements share: w -= rate m / (root sqrt(v) + eps) +
/// shrink w. The betas are those that the moments decay by: in float 1 - 0.999 is 1.3e-5 off 0.001.
struct AdamWFactors {
  double rate, root, shrink;
};
AdamWFactors adamw_factors(const AdamWParameter& parameter, const AdamWStep& step, double beta1,
                           double beta2);
/// Throws unless the parameters are on one device, of one dtype, and their tensors fit.
void expect_adamw(std::span<const AdamWParameter> parameters);

/// Throws unless an optimizer's tensor (a gradient, a moment) is as its weight.
void expect_optimizer_state(std::string_view op, const Tensor& weight, const Tensor& state,
                            std::string_view name);

}  // namespace filigree

namespace filigree::kernels {

/// m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= lr (m / (1-b1^t) / (sqrt(v / (1-b2^t)) + eps) +
/// decay w), for all parameters at once. where: a tensor on their device, of their dtype.
FILIGREE_KERNEL(adamw,
                (const Tensor& where, std::span<const AdamWParameter> parameters, AdamWStep step),
                (where, parameters, step))
/// numbers (3) f64, of which the first two are given: {sum of the squares of all gradients, loss,
/// what gradients are to be multiplied by}. The latter is clip / norm where the norm is above clip
/// > 0, else 1; NaN where the norm or the loss is not finite.
FILIGREE_KERNEL(judge_step, (Tensor & numbers, double clip), (numbers, clip))
/// u = momentum u + (g + decay w); w -= lr u.
FILIGREE_KERNEL(sgd, (const Tensor& gradient, SgdStep step, Tensor& weight, Tensor& velocity),
                (gradient, step, weight, velocity))

}  // namespace filigree::kernels
