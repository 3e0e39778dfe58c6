#include <cmath>

#include "core/cuda/map.cuh"
#include "core/kernels/optimizer.h"

namespace filigree::kernels::cuda {

namespace {

template <class T>
struct AdamW {
  const T* gradient;
  T *w, *m, *v;
  T b1, b2, scale, eps, rate, root, shrink;
  __device__ void operator()(int64_t i) const {
    const T g = gradient[i] * scale;
    const T first = b1 * m[i] + (T(1) - b1) * g, second = b2 * v[i] + (T(1) - b2) * g * g;
    m[i] = first;
    v[i] = second;
    w[i] -= rate * first / (std::sqrt(second) * root + eps) + shrink * w[i];
  }
};

template <class T>
struct Sgd {
  const T* gradient;
  T *w, *u;
  T scale, decay, momentum, rate;
  __device__ void operator()(int64_t i) const {
    u[i] = momentum * u[i] + gradient[i] * scale + decay * w[i];
    w[i] -= rate * u[i];
  }
};

}  // namespace

void adamw(const Tensor& gradient, AdamWStep step, Tensor& weight, Tensor& m, Tensor& v) {
  expect_optimizer_state("adamw", weight, gradient, "gradient");
  expect_optimizer_state("adamw", weight, m, "m");
  expect_optimizer_state("adamw", weight, v, "v");
  dispatch_float("adamw", weight.dtype(), [&]<class T>() {
    const T b1 = static_cast<T>(step.beta1), b2 = static_cast<T>(step.beta2);
    const AdamWFactors factors =
        adamw_factors(step, static_cast<double>(b1), static_cast<double>(b2));
    filigree::cuda::for_each(
        "adamw", weight, weight.numel(),
        AdamW<T>{gradient.data<T>(), weight.data<T>(), m.data<T>(), v.data<T>(), b1, b2,
                 static_cast<T>(step.gradient_scale), static_cast<T>(step.eps),
                 static_cast<T>(factors.rate), static_cast<T>(factors.root),
                 static_cast<T>(factors.shrink)});
  });
}

void sgd(const Tensor& gradient, SgdStep step, Tensor& weight, Tensor& velocity) {
  expect_optimizer_state("sgd", weight, gradient, "gradient");
  expect_optimizer_state("sgd", weight, velocity, "velocity");
  dispatch_float("sgd", weight.dtype(), [&]<class T>() {
    filigree::cuda::for_each(
        "sgd", weight, weight.numel(),
        Sgd<T>{gradient.data<T>(), weight.data<T>(), velocity.data<T>(),
               static_cast<T>(step.gradient_scale), static_cast<T>(step.weight_decay),
               static_cast<T>(step.momentum), static_cast<T>(step.learning_rate)});
  });
}

}  // namespace filigree::kernels::cuda
