#include <cmath>

#include "core/kernels/elementwise.h"
#include "core/kernels/loops.h"

namespace filigree::kernels::cpu {

void add(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("add", a.dtype(),
                 [&]<class T>() { map_elements<T>(a, b, y, [](T p, T q) { return p + q; }); });
}

void subtract(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("sub", a.dtype(),
                 [&]<class T>() { map_elements<T>(a, b, y, [](T p, T q) { return p - q; }); });
}

void multiply(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("mul", a.dtype(),
                 [&]<class T>() { map_elements<T>(a, b, y, [](T p, T q) { return p * q; }); });
}

void divide(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("divide", a.dtype(),
                 [&]<class T>() { map_elements<T>(a, b, y, [](T p, T q) { return p / q; }); });
}

void scale(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("scale", x.dtype(), [&]<class T>() {
    const T f = static_cast<T>(factor);
    map_elements<T>(x, y, [f](T p) { return p * f; });
  });
}

void add_bias(const Tensor& x, const Tensor& bias, Tensor& y) {
  dispatch_float("add_bias", x.dtype(), [&]<class T>() {
    const int64_t width = bias.numel();
    const T* from = x.data<T>();
    const T* b = bias.data<T>();
    T* to = y.data<T>();
    for_rows(x.shape().rows(), width, [&](int64_t row) {
      for (int64_t j = 0; j < width; ++j) to[row * width + j] = from[row * width + j] + b[j];
    });
  });
}

void sum_rows(const Tensor& x, Tensor& sums) {
  dispatch_float("sum_rows", x.dtype(), [&]<class T>() {
    const int64_t width = sums.numel();
    const T* from = x.data<T>();
    reduce_rows<T>(width == 0 ? 0 : x.numel() / width, width, sums.data<T>(),
                   [&](int64_t first, int64_t last, T* partial) {
                     for (int64_t row = first; row < last; ++row) {
                       for (int64_t j = 0; j < width; ++j) partial[j] += from[row * width + j];
                     }
                   });
  });
}

void exponential(const Tensor& x, Tensor& y) {
  dispatch_float("exp", x.dtype(),
                 [&]<class T>() { map_elements<T>(x, y, [](T p) { return std::exp(p); }); });
}

void logarithm(const Tensor& x, Tensor& y) {
  dispatch_float("log", x.dtype(),
                 [&]<class T>() { map_elements<T>(x, y, [](T p) { return std::log(p); }); });
}

}  // namespace filigree::kernels::cpu
