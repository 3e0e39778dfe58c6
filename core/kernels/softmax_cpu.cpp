#include <limits>

#include "core/kernels/loops.h"
#include "core/kernels/softmax.h"
#include "core/kernels/vector_math.h"

namespace filigree::kernels::cpu {

namespace {

template <class T>
T largest(const T* x, int64_t width) {
  T top = -std::numeric_limits<T>::infinity();
  for (int64_t j = 0; j < width; ++j) top = x[j] > top ? x[j] : top;
  return top;
}

/// Calls body(x row, y row) for every row of two tensors of one shape.
template <class T, class Body>
void each_row(const Tensor& x, Tensor& y, Body body) {
  const int64_t width = x.shape().last();
  const T* from = x.data<T>();
  T* to = y.data<T>();
  for_rows(width == 0 ? 0 : x.numel() / width, width,
           [&](int64_t row) { body(from + row * width, to + row * width, width); });
}

/// Calls body(y row, dy row, dx row) for every row.
template <class T, class Body>
void each_gradient_row(const Tensor& y, const Tensor& dy, Tensor& dx, Body body) {
  const int64_t width = y.shape().last();
  const T* values = y.data<T>();
  const T* grads = dy.data<T>();
  T* to = dx.data<T>();
  for_rows(width == 0 ? 0 : y.numel() / width, width, [&](int64_t row) {
    body(values + row * width, grads + row * width, to + row * width, width);
  });
}

}  // namespace

void softmax_forward(const Tensor& x, Tensor& y) {
  dispatch_float("softmax", x.dtype(), [&]<class T>() {
    each_row<T>(x, y, [](const T* from, T* to, int64_t width) {
      const T top = largest(from, width);
      for (int64_t j = 0; j < width; ++j) to[j] = exp_of(from[j] - top);
      const T inverse = T(1) / sum_of<T>(width, [&](int64_t j) { return to[j]; });
      for (int64_t j = 0; j < width; ++j) to[j] *= inverse;
    });
  });
}

void softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  dispatch_float("softmax", y.dtype(), [&]<class T>() {
    each_gradient_row<T>(y, dy, dx, [](const T* p, const T* g, T* to, int64_t width) {
      const T dot = sum_of<T>(width, [&](int64_t j) { return p[j] * g[j]; });
      for (int64_t j = 0; j < width; ++j) to[j] = p[j] * (g[j] - dot);
    });
  });
}

void log_softmax_forward(const Tensor& x, Tensor& y) {
  dispatch_float("log_softmax", x.dtype(), [&]<class T>() {
    each_row<T>(x, y, [](const T* from, T* to, int64_t width) {
      const T top = largest(from, width);
      const T sum = sum_of<T>(width, [&](int64_t j) { return exp_of(from[j] - top); });
      const T shift = top + std::log(sum);
      for (int64_t j = 0; j < width; ++j) to[j] = from[j] - shift;
    });
  });
}

void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  dispatch_float("log_softmax", y.dtype(), [&]<class T>() {
    each_gradient_row<T>(y, dy, dx, [](const T* logs, const T* g, T* to, int64_t width) {
      const T sum = sum_of<T>(width, [&](int64_t j) { return g[j]; });
      for (int64_t j = 0; j < width; ++j) to[j] = g[j] - exp_of(logs[j]) * sum;
    });
  });
}

void masked_softmax_forward(const Tensor& x, const Tensor& mask, Tensor& y) {
  const uint8_t* seen = mask.data<uint8_t>();
  dispatch_float("masked_softmax", x.dtype(), [&]<class T>() {
    const T* start = x.data<T>();
    each_row<T>(x, y, [&](const T* from, T* to, int64_t width) {
      const uint8_t* open = seen + (from - start);
      T top = -std::numeric_limits<T>::infinity();
      for (int64_t j = 0; j < width; ++j) {
        if (open[j] && !(from[j] <= top) && top == top) top = from[j];  // a NaN that is seen stays
      }
      if (top == -std::numeric_limits<T>::infinity()) {  // nothing that counts is seen
        std::fill(to, to + width, T(0));
        return;
      }
      T sum = 0;
      for (int64_t j = 0; j < width; ++j) {
        to[j] = open[j] ? exp_of(from[j] - top) : T(0);
        sum += to[j];
      }
      for (int64_t j = 0; j < width; ++j) {
        if (open[j]) to[j] /= sum;
      }
    });
  });
}

}  // namespace filigree::kernels::cpu
