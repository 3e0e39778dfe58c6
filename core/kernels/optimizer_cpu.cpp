#include <cmath>

#include "core/kernels/loops.h"
#include "core/kernels/optimizer.h"

namespace filigree::kernels::cpu {

namespace {

template <class T>
void adamw_one(const AdamWParameter& parameter, const AdamWStep& step, double gradient_scale) {
  Tensor weight = parameter.weight, m = parameter.m, v = parameter.v;
  const T* g = parameter.gradient.data<T>();
  T *w = weight.data<T>(), *first = m.data<T>(), *second = v.data<T>();
  const T b1 = static_cast<T>(step.beta1), b2 = static_cast<T>(step.beta2);
  const T scale = static_cast<T>(gradient_scale), eps = static_cast<T>(step.eps);
  const AdamWFactors factors =
      adamw_factors(parameter, step, static_cast<double>(b1), static_cast<double>(b2));
  const T rate = static_cast<T>(factors.rate), root = static_cast<T>(factors.root);
  const T shrink = static_cast<T>(factors.shrink);
  parallel_ranges(weight.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T grad = g[i] * scale;
      first[i] = b1 * first[i] + (T(1) - b1) * grad;
      second[i] = b2 * second[i] + (T(1) - b2) * grad * grad;
      w[i] -= rate * first[i] / (std::sqrt(second[i]) * root + eps) + shrink * w[i];
    }
  });
}

/// What gradients are multiplied by; NaN for no step.
template <class Step>
double scale_of(const Step& step) {
  return step.device_scale.defined() ? step.device_scale.item() : step.gradient_scale;
}

}  // namespace

void judge_step(Tensor& numbers, double clip) {
  double* all = numbers.data<double>();
  const double norm = std::sqrt(all[0]);
  const bool finite = std::isfinite(norm) && std::isfinite(all[1]);
  all[2] = !finite ? std::nan("") : clip > 0 && norm > clip ? clip / norm : 1;
}

void adamw(const Tensor& where, std::span<const AdamWParameter> parameters, AdamWStep step) {
  expect_adamw(parameters);
  const double scale = scale_of(step);
  if (std::isnan(scale)) return;
  dispatch_float("adamw", where.dtype(), [&]<class T>() {
    for (const AdamWParameter& each : parameters) adamw_one<T>(each, step, scale);
  });
}

void sgd(const Tensor& gradient, SgdStep step, Tensor& weight, Tensor& velocity) {
  expect_optimizer_state("sgd", weight, gradient, "gradient");
  expect_optimizer_state("sgd", weight, velocity, "velocity");
  const double gradient_scale = scale_of(step);
  if (std::isnan(gradient_scale)) return;
  dispatch_float("sgd", weight.dtype(), [&]<class T>() {
    const T* g = gradient.data<T>();
    T *w = weight.data<T>(), *u = velocity.data<T>();
    const T scale = static_cast<T>(gradient_scale), decay = static_cast<T>(step.weight_decay);
    const T momentum = static_cast<T>(step.momentum), rate = static_cast<T>(step.learning_rate);
    parallel_ranges(weight.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        u[i] = momentum * u[i] + g[i] * scale + decay * w[i];
        w[i] -= rate * u[i];
      }
    });
  });
}

}  // namespace filigree::kernels::cpu
