#include <cmath>
#include <limits>

#include "core/cuda/rows.cuh"
#include "core/kernels/softmax.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::WarpRow;

template <class T>
inline constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();

template <class T>
struct Softmax {
  const T* x;
  T* y;
  __device__ void operator()(WarpRow row) const {
    const T* from = x + row.row * row.width;
    T* to = y + row.row * row.width;
    const T top = row.largest(kMinusInfinity<T>, [&](int64_t j) { return from[j]; });
    const T sum = row.sum<T>([&](int64_t j) { return std::exp(from[j] - top); });
    row.each([&](int64_t j) { to[j] = std::exp(from[j] - top) / sum; });
  }
};

template <class T>
struct SoftmaxBackward {
  const T *y, *dy;
  T* dx;
  __device__ void operator()(WarpRow row) const {
    const int64_t at = row.row * row.width;
    const T dot = row.sum<T>([&](int64_t j) { return y[at + j] * dy[at + j]; });
    row.each([&](int64_t j) { dx[at + j] = y[at + j] * (dy[at + j] - dot); });
  }
};

template <class T>
struct LogSoftmax {
  const T* x;
  T* y;
  __device__ void operator()(WarpRow row) const {
    const int64_t at = row.row * row.width;
    const T top = row.largest(kMinusInfinity<T>, [&](int64_t j) { return x[at + j]; });
    const T sum = row.sum<T>([&](int64_t j) { return std::exp(x[at + j] - top); });
    const T shift = top + std::log(sum);
    row.each([&](int64_t j) { y[at + j] = x[at + j] - shift; });
  }
};

template <class T>
struct LogSoftmaxBackward {
  const T *y, *dy;
  T* dx;
  __device__ void operator()(WarpRow row) const {
    const int64_t at = row.row * row.width;
    const T sum = row.sum<T>([&](int64_t j) { return dy[at + j]; });
    row.each([&](int64_t j) { dx[at + j] = dy[at + j] - std::exp(y[at + j]) * sum; });
  }
};

template <class T>
struct MaskedSoftmax {
  const T* x;
  const uint8_t* mask;
  T* y;
  __device__ void operator()(WarpRow row) const {
    const int64_t at = row.row * row.width;
    const auto seen = [&](int64_t j) { return mask[at + j] ? x[at + j] : kMinusInfinity<T>; };
    const T top = row.largest(kMinusInfinity<T>, seen);
    // A NaN is passed over by largest(), not by the sum.
    const T sum = row.sum<T>([&](int64_t j) {
      const T value = seen(j);
      return value == kMinusInfinity<T> ? T(0) : std::exp(value - top);
    });
    row.each([&](int64_t j) {
      const T value = seen(j);
      y[at + j] = value == kMinusInfinity<T> && sum == sum ? T(0)
                  : mask[at + j]                           ? std::exp(value - top) / sum
                                                           : T(0);
    });
  }
};

int64_t rows_of(const Tensor& x) {
  const int64_t width = x.shape().last();
  return width == 0 ? 0 : x.numel() / width;
}

}  // namespace

void softmax_forward(const Tensor& x, Tensor& y) {
  dispatch_float("softmax", x.dtype(), [&]<class T>() {
    filigree::cuda::for_rows("softmax", x, rows_of(x), x.shape().last(),
                             Softmax<T>{x.data<T>(), y.data<T>()});
  });
}

void softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  dispatch_float("softmax", y.dtype(), [&]<class T>() {
    filigree::cuda::for_rows("softmax", y, rows_of(y), y.shape().last(),
                             SoftmaxBackward<T>{y.data<T>(), dy.data<T>(), dx.data<T>()});
  });
}

void log_softmax_forward(const Tensor& x, Tensor& y) {
  dispatch_float("log_softmax", x.dtype(), [&]<class T>() {
    filigree::cuda::for_rows("log_softmax", x, rows_of(x), x.shape().last(),
                             LogSoftmax<T>{x.data<T>(), y.data<T>()});
  });
}

void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  dispatch_float("log_softmax", y.dtype(), [&]<class T>() {
    filigree::cuda::for_rows("log_softmax", y, rows_of(y), y.shape().last(),
                             LogSoftmaxBackward<T>{y.data<T>(), dy.data<T>(), dx.data<T>()});
  });
}

void masked_softmax_forward(const Tensor& x, const Tensor& mask, Tensor& y) {
  dispatch_float("masked_softmax", x.dtype(), [&]<class T>() {
    filigree::cuda::for_rows("masked_softmax", x, rows_of(x), x.shape().last(),
                             MaskedSoftmax<T>{x.data<T>(), mask.data<uint8_t>(), y.data<T>()});
  });
}

}  // namespace filigree::kernels::cuda
