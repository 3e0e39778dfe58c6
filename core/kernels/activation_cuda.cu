#include <cmath>
#include <numbers>

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

/// body.template operator()<F>() with the activation's functions.
template <class T, class Body>
void with_activation(Activation f, Body body) {
  switch (f) {
    case Activation::gelu_erf:
      return body.template operator()<GeluErf<T>>();
    case Activation::gelu_tanh:
      return body.template operator()<GeluTanh<T>>();
    case Activation::relu:
      return body.template operator()<Relu<T>>();
    case Activation::tanh:
      return body.template operator()<Tanh<T>>();
  }
}

}  // namespace

void activation_forward(const Tensor& x, Activation f, Tensor& y) {
  filigree::cuda::dispatch_stored("activation", x.dtype(), [&]<class T>() {
    with_activation<Compute<T>>(f, [&]<class F>() {
      filigree::cuda::map_elements<T>("activation", x, y, Forward<Compute<T>, F>{});
    });
  });
}

void activation_backward(const Tensor& x, const Tensor& dy, Activation f, Tensor& dx) {
  filigree::cuda::dispatch_stored("activation", x.dtype(), [&]<class T>() {
    with_activation<Compute<T>>(f, [&]<class F>() {
      filigree::cuda::map_elements<T>("activation", x, dy, dx, Backward<Compute<T>, F>{});
    });
  });
}

}  // namespace filigree::kernels::cuda
