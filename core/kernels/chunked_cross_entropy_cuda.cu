#include <cmath>

#include "core/cuda/map.cuh"
#include "core/cuda/rows.cuh"
#include "core/kernels/chunked_cross_entropy.h"

namespace filigree::kernels::cuda {

namespace {

template <class T>
struct AddChunk {
  const T *x, *bias;
  const int32_t* labels;
  int64_t first;
  T *top, *sum, *target;

  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const T* in = x + row.row * row.width;
    const T before = top[row.row];
    const T highest = row.largest(before, [&](int64_t c) { return in[c] + bias[c]; });
    const T added = row.sum<T>([&](int64_t c) { return std::exp(in[c] + bias[c] - highest); });
    if (row.lane != 0) return;
    sum[row.row] = sum[row.row] * std::exp(before - highest) + added;
    top[row.row] = highest;
    const int64_t own = labels[row.row] - first;
    if (own >= 0 && own < row.width) target[row.row] = in[own] + bias[own];
  }
};

template <class T>
struct Gradient {
  const T* bias;
  const int32_t* labels;
  const T* log_sum;
  int64_t first;
  T factor;
  T* x;
  int64_t classes;
  __device__ void operator()(int64_t i) const {
    const int64_t row = i / classes, c = i % classes;
    const T p = factor * std::exp(x[i] + bias[c] - log_sum[row]);
    x[i] = c == labels[row] - first ? p - factor : p;
  }
};

}  // namespace

void add_chunk_to_softmax(const Tensor& x, const Tensor& bias, const Tensor& labels, int64_t first,
                          Tensor& top, Tensor& sum, Tensor& target) {
  dispatch_float("chunked_cross_entropy", x.dtype(), [&]<class T>() {
    filigree::cuda::for_rows("chunked_cross_entropy", x, x.size(0), x.size(1),
                             AddChunk<T>{x.data<T>(), bias.data<T>(), labels.data<int32_t>(), first,
                                         top.data<T>(), sum.data<T>(), target.data<T>()});
  });
}

void chunk_softmax_gradient(const Tensor& bias, const Tensor& labels, const Tensor& log_sum,
                            int64_t first, double factor, Tensor& x) {
  dispatch_float("chunked_cross_entropy", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each("chunked_cross_entropy", x, x.numel(),
                             Gradient<T>{bias.data<T>(), labels.data<int32_t>(), log_sum.data<T>(),
                                         first, static_cast<T>(factor), x.data<T>(), x.size(1)});
  });
}

}  // namespace filigree::kernels::cuda
