#include <cmath>
#include <limits>

#include "core/cuda/held_row.cuh"
#include "core/kernels/chunked_cross_entropy.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::Compute;
using filigree::cuda::kWarp;
using filigree::cuda::load;
using filigree::cuda::load_values;

constexpr int kWarps = 8, kThreads = kWarps * kWarp;  // of a row

/// Logits of rows of `classes`, and their bias.
template <class T>
struct Logits {
  const T *x, *bias;
  const int32_t* labels;
  int64_t first, classes;

  /// N of a row, with the bias.
  template <int N>
  __device__ void get(int64_t row, int64_t column, T (&z)[N]) const {
    T more[N];
    load_values<T, N>(x + row * classes + column, z);
    load_values<T, N>(bias + column, more);
#pragma unroll
    for (int i = 0; i < N; ++i) z[i] += more[i];
  }
  /// The label's column; none of the chunk's where that is elsewhere.
  __device__ int64_t own(int64_t row) const { return labels[row] - first; }
};

/// sum e^{z - top} over numbers z, of which top is the greatest. A NaN makes the sum NaN.
template <class T>
struct Softmax {
  static constexpr T kNone = -std::numeric_limits<T>::infinity();
  T top = kNone, sum = 0;

  /// What exponents are measured from: not -Inf, which would make NaN of itself.
  static __device__ T base(T top) { return top == kNone ? T(0) : top; }
  /// The same sum, by a top that is not less.
  __device__ T sum_by(T higher) const {
    return top == higher ? sum : sum * std::exp(top - base(higher));
  }
  template <int N>
  __device__ void add(const T (&z)[N]) {
    T higher = top;
#pragma unroll
    for (int i = 0; i < N; ++i) higher = z[i] > higher ? z[i] : higher;
    sum = sum_by(higher);
    top = higher;
#pragma unroll
    for (int i = 0; i < N; ++i) sum += std::exp(z[i] - base(top));
  }
};

/// A block a row, its threads N classes at a time. Their sums are put together by a warp, then
/// those of the warps in order.
template <class T, int N>
__global__ void add_chunk(Logits<T> logits, T* top, T* sum, T* target) {
  __shared__ T tops[kWarps], sums[kWarps];
  const int64_t row = blockIdx.x;
  Softmax<T> mine;
  for (int64_t c = int64_t{N} * threadIdx.x; c < logits.classes; c += N * kThreads) {
    T z[N];
    logits.get(row, c, z);
    mine.add(z);
  }
  const T warp_top = filigree::cuda::warp_max(mine.top);
  const T warp_sum = filigree::cuda::warp_sum(mine.sum_by(warp_top));
  if (threadIdx.x % kWarp == 0) {
    tops[threadIdx.x / kWarp] = warp_top;
    sums[threadIdx.x / kWarp] = warp_sum;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  T highest = top[row];
  for (int w = 0; w < kWarps; ++w) highest = tops[w] > highest ? tops[w] : highest;
  T all = Softmax<T>{top[row], sum[row]}.sum_by(highest);
  for (int w = 0; w < kWarps; ++w) all += Softmax<T>{tops[w], sums[w]}.sum_by(highest);
  sum[row] = all;
  top[row] = highest;
  const int64_t own = logits.own(row);
  if (own < 0 || own >= logits.classes) return;
  T z[1];
  logits.get(row, own, z);
  target[row] = z[0];
}

/// A block a row, N classes of it a thread at a time.
template <class T, class S, int N>
__global__ void gradient(Logits<T> logits, const T* log_sum, double factor, const T* dloss, S* dx) {
  const int64_t row = blockIdx.x, own = logits.own(row);
  const T f = static_cast<T>(factor * static_cast<double>(*dloss)), shift = log_sum[row];
  for (int64_t c = int64_t{N} * threadIdx.x; c < logits.classes; c += N * kThreads) {
    T z[N];
    logits.get(row, c, z);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      z[i] = f * std::exp(z[i] - shift);
      if (c + i == own) z[i] -= f;
    }
    filigree::cuda::store_values<S, N>(z, dx + row * logits.classes + c);
  }
}

}  // namespace

void add_chunk_to_softmax(const Tensor& x, const Tensor& bias, const Tensor& labels, int64_t first,
                          Tensor& top, Tensor& sum, Tensor& target) {
  dispatch_float("chunked_cross_entropy", x.dtype(), [&]<class T>() {
    const Logits<T> logits{x.data<T>(), bias.data<T>(), labels.data<int32_t>(), first, x.size(1)};
    const auto call = [&]<int N>() {
      filigree::cuda::launch("chunked_cross_entropy", x, {.blocks = x.size(0), .threads = kThreads},
                             add_chunk<T, N>, logits, top.data<T>(), sum.data<T>(),
                             target.data<T>());
    };
    filigree::cuda::with_pack<T>(x.size(1), call, logits.x, logits.bias);
  });
}

void chunk_softmax_gradient(const Tensor& x, const Tensor& bias, const Tensor& labels,
                            const Tensor& log_sum, int64_t first, double factor,
                            const Tensor& dloss, Tensor& dx) {
  filigree::cuda::dispatch_stored("chunked_cross_entropy", dx.dtype(), [&]<class S>() {
    using T = Compute<S>;
    const Logits<T> logits{x.data<T>(), bias.data<T>(), labels.data<int32_t>(), first, x.size(1)};
    S* to = dx.data<S>();
    const auto call = [&]<int N>() {
      filigree::cuda::launch("chunked_cross_entropy", x, {.blocks = x.size(0), .threads = kThreads},
                             gradient<T, S, N>, logits, log_sum.data<T>(), factor, dloss.data<T>(),
                             to);
    };
    filigree::cuda::with_pack<T>(x.size(1), call, logits.x, logits.bias, to);
  });
}

}  // namespace filigree::kernels::cuda
