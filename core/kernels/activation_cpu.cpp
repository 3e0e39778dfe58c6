#include <cmath>
#include <numbers>

#include "core/kernels/activation.h"
#include "core/kernels/loops.h"
#include "core/kernels/vector_math.h"

namespace filigree::kernels::cpu {

namespace {

template <class T>
inline constexpr T kRootTwoOverPi = T(0.79788456080286535588);
template <class T>
inline constexpr T kCubic = T(0.044715);

/// Calls body(value, slope), the two functions of one activation.
template <class T, class Body>
void with_activation(Activation f, Body body) {
  constexpr T kHalf = T(0.5);
  switch (f) {
    case Activation::gelu_erf:
      body([](T x) { return kHalf * x * (T(1) + erf_of(x * T(std::numbers::sqrt2 / 2))); },
           [](T x) {
             const T density = T(0.39894228040143267794) * exp_of(-kHalf * x * x);
             return kHalf * (T(1) + erf_of(x * T(std::numbers::sqrt2 / 2))) + x * density;
           });
      break;
    case Activation::gelu_tanh:
      body(
          [](T x) {
            return kHalf * x * (T(1) + tanh_of(kRootTwoOverPi<T> * (x + kCubic<T> * x * x * x)));
          },
          [](T x) {
            const T t = tanh_of(kRootTwoOverPi<T> * (x + kCubic<T> * x * x * x));
            const T inner = kRootTwoOverPi<T> * (T(1) + 3 * kCubic<T> * x * x);
            return kHalf * (T(1) + t) + kHalf * x * (T(1) - t * t) * inner;
          });
      break;
    case Activation::relu:
      body([](T x) { return x > T(0) ? x
                            : x != x ? x
                                     : T(0); },
           [](T x) { return x > T(0) ? T(1) : T(0); });
      break;
    case Activation::tanh:
      body([](T x) { return std::tanh(x); },
           [](T x) {
             const T t = std::tanh(x);
             return T(1) - t * t;
           });
      break;
  }
}

}  // namespace

void activation_forward(const Tensor& x, Activation f, Tensor& y) {
  dispatch_float("activation", x.dtype(), [&]<class T>() {
    with_activation<T>(f, [&](auto value, auto) { map_elements<T>(x, y, value); });
  });
}

void activation_backward(const Tensor& x, const Tensor& dy, Activation f, Tensor& dx) {
  dispatch_float("activation", x.dtype(), [&]<class T>() {
    with_activation<T>(f, [&](auto, auto slope) {
      map_elements<T>(x, dy, dx, [slope](T at, T grad) { return grad * slope(at); });
    });
  });
}

}  // namespace filigree::kernels::cpu
