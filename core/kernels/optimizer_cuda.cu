#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cuda/map.cuh"
#include "core/kernels/optimizer.h"

namespace filigree::kernels::cuda {

namespace {

/// So many parameters a launch that a kernel's arguments (4 KB) hold them.
inline constexpr int kTogether = 40;

/// What gradients are multiplied by, known here or there; NaN for no step.
template <class T>
struct GradientScale {
  T here;
  const double* there;  // null: here
  __device__ T get() const { return there ? static_cast<T>(*there) : here; }
};
template <class T, class Step>
GradientScale<T> scale_of(const Step& step) {
  return {static_cast<T>(step.gradient_scale),
          step.device_scale.defined() ? step.device_scale.template data<double>() : nullptr};
}

struct Judge {
  double* numbers;
  double clip;
  __device__ void operator()(int64_t) const {
    const double norm = std::sqrt(numbers[0]), loss = numbers[1];
    const bool finite = norm - norm == 0 && loss - loss == 0;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    numbers[2] = !finite ? nan : clip > 0 && norm > clip ? clip / norm : 1;
  }
};

/// AdamW on several parameters, a pack of one of them a call.
template <class T>
struct AdamW {
  struct Parameter {
    const T* gradient;
    T *w, *m, *v;
    int64_t count;
    int64_t first;  // pack
    T rate, shrink;
    bool packed;
  };
  Parameter of[kTogether];
  int parameters;
  T b1, b2, eps, root;
  GradientScale<T> gradient_scale;

  __device__ void operator()(int64_t pack) const {
    const T scale = gradient_scale.get();
    if (scale != scale) return;
    const Parameter& one = of[filigree::cuda::last_not_above<kTogether>(
        pack, parameters, [&](int k) { return of[k].first; })];
    constexpr int N = filigree::cuda::kPack<T>;
    const auto change = [&](T gradient, T& w, T& m, T& v) {
      const T g = gradient * scale;
      m = b1 * m + (T(1) - b1) * g;
      v = b2 * v + (T(1) - b2) * g * g;
      w -= one.rate * m / (std::sqrt(v) * root + eps) + one.shrink * w;
    };
    filigree::cuda::each_of_pack<N>(
        pack - one.first, one.count, one.packed,
        [&](int64_t i) { change(one.gradient[i], one.w[i], one.m[i], one.v[i]); },
        [&](int64_t i) {
          const auto g = filigree::cuda::load_pack<T, N>(one.gradient + i);
          auto w = filigree::cuda::load_pack<T, N>(one.w + i);
          auto m = filigree::cuda::load_pack<T, N>(one.m + i);
          auto v = filigree::cuda::load_pack<T, N>(one.v + i);
          for (int j = 0; j < N; ++j) change(g.of[j], w.of[j], m.of[j], v.of[j]);
          filigree::cuda::store_pack(w, one.w + i);
          filigree::cuda::store_pack(m, one.m + i);
          filigree::cuda::store_pack(v, one.v + i);
        });
  }
};

template <class T>
struct Sgd {
  const T* gradient;
  T *w, *u;
  GradientScale<T> gradient_scale;
  T decay, momentum, rate;
  __device__ void operator()(int64_t i) const {
    const T scale = gradient_scale.get();
    if (scale != scale) return;
    u[i] = momentum * u[i] + gradient[i] * scale + decay * w[i];
    w[i] -= rate * u[i];
  }
};

}  // namespace

void judge_step(Tensor& numbers, double clip) {
  filigree::cuda::for_each("judge_step", numbers, 1, Judge{numbers.data<double>(), clip});
}

void adamw(const Tensor& where, std::span<const AdamWParameter> parameters, AdamWStep step) {
  expect_adamw(parameters);
  dispatch_float("adamw", where.dtype(), [&]<class T>() {
    const T b1 = static_cast<T>(step.beta1), b2 = static_cast<T>(step.beta2);
    while (!parameters.empty()) {
      const auto now = parameters.first(std::min<size_t>(parameters.size(), kTogether));
      parameters = parameters.subspan(now.size());
      AdamW<T> body{};
      static_assert(sizeof(body) <= 4000);
      body.b1 = b1;
      body.b2 = b2;
      body.gradient_scale = scale_of<T>(step);
      body.eps = static_cast<T>(step.eps);
      constexpr int N = filigree::cuda::kPack<T>;
      int64_t packs = 0;
      for (const AdamWParameter& each : now) {
        Tensor weight = each.weight, m = each.m, v = each.v;
        const T* gradient = each.gradient.data<T>();
        T *const w = weight.data<T>(), *const first = m.data<T>(), *const second = v.data<T>();
        const AdamWFactors factors =
            adamw_factors(each, step, static_cast<double>(b1), static_cast<double>(b2));
        body.root = static_cast<T>(factors.root);
        body.of[body.parameters++] = {gradient,
                                      w,
                                      first,
                                      second,
                                      weight.numel(),
                                      packs,
                                      static_cast<T>(factors.rate),
                                      static_cast<T>(factors.shrink),
                                      filigree::cuda::packs_fit<N>(gradient, w, first, second)};
        packs += (weight.numel() + N - 1) / N;
      }
      filigree::cuda::for_each("adamw", where, packs, body);
    }
  });
}

void sgd(const Tensor& gradient, SgdStep step, Tensor& weight, Tensor& velocity) {
  expect_optimizer_state("sgd", weight, gradient, "gradient");
  expect_optimizer_state("sgd", weight, velocity, "velocity");
  dispatch_float("sgd", weight.dtype(), [&]<class T>() {
    filigree::cuda::for_each(
        "sgd", weight, weight.numel(),
        Sgd<T>{gradient.data<T>(), weight.data<T>(), velocity.data<T>(), scale_of<T>(step),
               static_cast<T>(step.weight_decay), static_cast<T>(step.momentum),
               static_cast<T>(step.learning_rate)});
  });
}

}  // namespace filigree::kernels::cuda
