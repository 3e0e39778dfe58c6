#include <cmath>
#include <numbers>
#include <type_traits>

#include "core/cuda/map.cuh"
#include "core/kernels/activation.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::Compute;

template <class T>
inline constexpr T kRootTwoOverPi = T(0.79788456080286535588);
template <class T>
inline constexpr T kCubic = T(0.044715);
template <class T>
inline constexpr T kRootHalf = T(std::numbers::sqrt2 / 2);

template <class T>
struct GeluErf {
  static __device__ T value(T x) { return T(0.5) * x * (T(1) + std::erf(x * kRootHalf<T>)); }
  static __device__ T slope(T x) {
    const T density = T(0.39894228040143267794) * std::exp(-T(0.5) * x * x);
    return T(0.5) * (T(1) + std::erf(x * kRootHalf<T>)) + x * density;
  }
};
template <class T>
struct GeluTanh {
  static __device__ T inner(T x) {
    return std::tanh(kRootTwoOverPi<T> * (x + kCubic<T> * x * x * x));
  }
  static __device__ T value(T x) { return T(0.5) * x * (T(1) + inner(x)); }
  static __device__ T slope(T x) {
    const T t = inner(x), d = kRootTwoOverPi<T> * (T(1) + 3 * kCubic<T> * x * x);
    return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * d;
  }
};
/// Where results are rounded to bf16: fast exponentials and quotients, and Phi(x) to 1e-7,
/// absolute, by Abramowitz and Stegun's 7.1.26, whose exponential is the density's.
struct RoughGeluErf {
  /// phi(x) sqrt(2 pi), and Phi(-|x|) as a share of twice that.
  struct Tail {
    float bell, share;
  };
  static __device__ Tail tail(float x) {
    const float t = __fdividef(1.0F, std::fma(0.3275911F * kRootHalf<float>, std::fabs(x), 1.0F));
    float sum = std::fma(1.061405429F, t, -1.453152027F);
    sum = std::fma(sum, t, 1.421413741F);
    sum = std::fma(sum, t, -0.284496736F);
    sum = std::fma(sum, t, 0.254829592F);
    return {__expf(-0.5F * x * x), sum * t};
  }
  static __device__ float normal(float x, Tail tail) {
    const float below = 0.5F * tail.share * tail.bell;  // Phi(-|x|)
    return x < 0.0F ? below : 1.0F - below;
  }
  static __device__ float value(float x) { return x * normal(x, tail(x)); }
  static __device__ float slope(float x) {
    const Tail at = tail(x);
    return std::fma(x * 0.398942280F, at.bell, normal(x, at));
  }
};
struct RoughGeluTanh {
  static __device__ float value(float x) { return x * open(x); }
  static __device__ float slope(float x) {
    const float s = open(x);
    const float d = kRootTwoOverPi<float> * std::fma(3 * kCubic<float> * x, x, 1.0F);
    return std::fma(2.0F * (x * (s * (1.0F - s))), d, s);  // 0 first, where d is large
  }

 private:
  /// (1 + tanh u) / 2 = 1 / (1 + e^{-2u}).
  static __device__ float open(float x) {
    const float u = kRootTwoOverPi<float> * std::fma(kCubic<float> * x * x, x, x);
    return __fdividef(1.0F, 1.0F + __expf(-2.0F * u));
  }
};
template <class T>
struct Relu {
  static __device__ T value(T x) { return x > T(0) || x != x ? x : T(0); }
  static __device__ T slope(T x) { return x > T(0) ? T(1) : T(0); }
};
template <class T>
struct Tanh {
  static __device__ T value(T x) { return std::tanh(x); }
  static __device__ T slope(T x) {
    const T t = std::tanh(x);
    return T(1) - t * t;
  }
};

template <class T, class F>
struct Forward {
  __device__ T operator()(T x) const { return F::value(x); }
};
template <class T, class F>
struct Backward {
  __device__ T operator()(T x, T grad) const { return grad * F::slope(x); }
};

/// body.template operator()<F>() with the activation's functions for elements stored as S.
template <class S, class Body>
void with_activation(Activation f, Body body) {
  using T = Compute<S>;
  constexpr bool kRough = std::is_same_v<S, BFloat16>;
  switch (f) {
    case Activation::gelu_erf:
      return body.template operator()<std::conditional_t<kRough, RoughGeluErf, GeluErf<T>>>();
    case Activation::gelu_tanh:
      return body.template operator()<std::conditional_t<kRough, RoughGeluTanh, GeluTanh<T>>>();
    case Activation::relu:
      return body.template operator()<Relu<T>>();
    case Activation::tanh:
      return body.template operator()<Tanh<T>>();
  }
}

}  // namespace

void activation_forward(const Tensor& x, Activation f, Tensor& y) {
  filigree::cuda::dispatch_stored("activation", x.dtype(), [&]<class T>() {
    with_activation<T>(f, [&]<class F>() {
      filigree::cuda::map_elements<T>("activation", x, y, Forward<Compute<T>, F>{});
    });
  });
}

void activation_backward(const Tensor& x, const Tensor& dy, Activation f, Tensor& dx) {
  filigree::cuda::dispatch_stored("activation", x.dtype(), [&]<class T>() {
    with_activation<T>(f, [&]<class F>() {
      filigree::cuda::map_elements<T>("activation", x, dy, dx, Backward<Compute<T>, F>{});
    });
  });
}

}  // namespace filigree::kernels::cuda
