#include <cmath>

#include "core/cuda/map.cuh"
#include "core/cuda/rows.cuh"
#include "core/kernels/chunked_cross_entropy.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::Compute;
using filigree::cuda::load;

/// Logits in T, bias in S.
template <class T, class S>
struct AddChunk {
  const T* x;
  const S* bias;
  const int32_t* labels;
  int64_t first;
  T *top, *sum, *target;

  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const T* in = x + row.row * row.width;
    const T before = top[row.row];
    const T highest = row.largest(before, [&](int64_t c) { return in[c] + load(bias[c]); });
    const T added =
        row.sum<T>([&](int64_t c) { return std::exp(in[c] + load(bias[c]) - highest); });
    if (row.lane != 0) return;
    sum[row.row] = sum[row.row] * std::exp(before - highest) + added;
    top[row.row] = highest;
    const int64_t own = labels[row.row] - first;
    if (own >= 0 && own < row.width) target[row.row] = in[own] + load(bias[own]);
  }
};

template <class T, class S>
struct Gradient {
  const T* x;
  const S* bias;
  const int32_t* labels;
  const T* log_sum;
  int64_t first;
  double factor;
  const T* dloss;
  S* dx;
  int64_t classes;
  __device__ void operator()(int64_t i) const {
    const int64_t row = i / classes, c = i % classes;
    const T f = static_cast<T>(factor * static_cast<double>(*dloss));
    const T p = f * std::exp(x[i] + load(bias[c]) - log_sum[row]);
    dx[i] = convert<S>(c == labels[row] - first ? p - f : p);
  }
};

}  // namespace

void add_chunk_to_softmax(const Tensor& x, const Tensor& bias, const Tensor& labels, int64_t first,
                          Tensor& top, Tensor& sum, Tensor& target) {
  filigree::cuda::dispatch_stored("chunked_cross_entropy", bias.dtype(), [&]<class S>() {
    using T = Compute<S>;
    filigree::cuda::for_rows("chunked_cross_entropy", x, x.size(0), x.size(1),
                             AddChunk<T, S>{x.data<T>(), bias.data<S>(), labels.data<int32_t>(),
                                            first, top.data<T>(), sum.data<T>(), target.data<T>()});
  });
}

void chunk_softmax_gradient(const Tensor& x, const Tensor& bias, const Tensor& labels,
                            const Tensor& log_sum, int64_t first, double factor,
                            const Tensor& dloss, Tensor& dx) {
  filigree::cuda::dispatch_stored("chunked_cross_entropy", bias.dtype(), [&]<class S>() {
    using T = Compute<S>;
    filigree::cuda::for_each(
        "chunked_cross_entropy", x, x.numel(),
        Gradient<T, S>{x.data<T>(), bias.data<S>(), labels.data<int32_t>(), log_sum.data<T>(),
                       first, factor, dloss.data<T>(), dx.data<S>(), x.size(1)});
  });
}

}  // namespace filigree::kernels::cuda
