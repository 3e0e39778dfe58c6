#include <cmath>
#include <limits>

#include "core/cuda/map.cuh"
#include "core/cuda/rows.cuh"
#include "core/kernels/cross_entropy.h"

namespace filigree::kernels::cuda {

namespace {

template <class T>
struct Forward {
  const T* x;
  const int32_t* labels;
  int32_t ignore;
  T smoothing;
  T *losses, *probabilities;

  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const T* in = x + row.row * row.width;
    T* out = probabilities + row.row * row.width;
    const T top =
        row.largest(-std::numeric_limits<T>::infinity(), [&](int64_t c) { return in[c]; });
    const T sum = row.sum<T>([&](int64_t c) { return std::exp(in[c] - top); });
    row.each([&](int64_t c) { out[c] = std::exp(in[c] - top) / sum; });
    const T log_sum = top + std::log(sum);
    const T mean =
        smoothing > T(0) ? row.sum<T>([&](int64_t c) { return in[c]; }) / T(row.width) : T(0);
    if (row.lane != 0) return;
    const int32_t label = labels[row.row];
    if (label == ignore) {
      losses[row.row] = T(0);
      return;
    }
    T loss = (T(1) - smoothing) * (log_sum - in[label]);
    if (smoothing > T(0)) loss += smoothing * (log_sum - mean);
    losses[row.row] = loss;
  }
};

template <class T>
struct Backward {
  const T* probabilities;
  const int32_t* labels;
  int32_t ignore;
  T smoothing;
  double factor;
  const T* dloss;
  T* dx;
  int64_t classes;
  __device__ void operator()(int64_t i) const {
    const int32_t label = labels[i / classes];
    const T q = (i % classes == label ? T(1) - smoothing : T(0)) + smoothing / T(classes);
    const T f = static_cast<T>(factor * static_cast<double>(*dloss));
    dx[i] = label == ignore ? T(0) : f * (probabilities[i] - q);
  }
};

}  // namespace

void cross_entropy_forward(const Tensor& x, const Tensor& labels, int32_t ignore, double smoothing,
                           Tensor& losses, Tensor& probabilities) {
  dispatch_float("cross_entropy", x.dtype(), [&]<class T>() {
    filigree::cuda::for_rows(
        "cross_entropy", x, x.size(0), x.size(1),
        Forward<T>{x.data<T>(), labels.data<int32_t>(), ignore, static_cast<T>(smoothing),
                   losses.data<T>(), probabilities.data<T>()});
  });
}

void cross_entropy_backward(const Tensor& probabilities, const Tensor& labels, int32_t ignore,
                            double smoothing, double factor, const Tensor& dloss, Tensor& dx) {
  dispatch_float("cross_entropy", probabilities.dtype(), [&]<class T>() {
    filigree::cuda::for_each(
        "cross_entropy", dx, dx.numel(),
        Backward<T>{probabilities.data<T>(), labels.data<int32_t>(), ignore,
                    static_cast<T>(smoothing), factor, dloss.data<T>(), dx.data<T>(), dx.size(1)});
  });
}

}  // namespace filigree::kernels::cuda
