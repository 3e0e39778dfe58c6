#include <algorithm>

#include "core/cuda/map.cuh"
#include "core/cuda/rows.cuh"
#include "core/kernels/reduce.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::kPack;
using filigree::cuda::kWarp;

constexpr int kWarps = 8, kThreads = kWarps * kWarp;
constexpr int64_t kChunk = 16384;  // elements of a block

/// Over the calling block, of f(x) for `count` elements, in double: its threads add up packs (where
/// they are not `packed`, their elements), its warps those sums, and those are added in order.
template <class T, class F>
__device__ double block_sum(const T* x, int64_t count, bool packed, F f) {
  constexpr int N = kPack<T>, kAtOnce = 4;
  constexpr int64_t kStep = N * kThreads;
  __shared__ double sums[kWarps];
  double mine = 0;
  int64_t at = int64_t{N} * threadIdx.x;
  const auto take = [&]<int Packs>() {  // all loads before the first sum
    filigree::cuda::Pack<T, N> values[Packs];
#pragma unroll
    for (int q = 0; q < Packs; ++q) {
      values[q] = filigree::cuda::load_pack<T, N>(x + at + q * kStep);
    }
#pragma unroll
    for (int q = 0; q < Packs; ++q) {
#pragma unroll
      for (int i = 0; i < N; ++i) mine += f(static_cast<double>(values[q].of[i]));
    }
    at += Packs * kStep;
  };
  if (packed) {
    while (at + (kAtOnce - 1) * kStep + N <= count) take.template operator()<kAtOnce>();
    while (at + N <= count) take.template operator()<1>();
  }
  for (; at < count; at += kStep) {
    for (int64_t i = at; i < at + N && i < count; ++i) mine += f(static_cast<double>(x[i]));
  }
  mine = filigree::cuda::warp_sum(mine);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = mine;
  __syncthreads();
  double all = 0;
  for (int w = 0; w < kWarps; ++w) all += sums[w];
  return all;
}

struct Same {
  __device__ double operator()(double x) const { return x; }
};
struct Square {
  __device__ double operator()(double x) const { return x * x; }
};

/// Elements of chunk c of `count`.
__device__ int64_t chunk_size(int64_t c, int64_t count) {
  return (c + 1) * kChunk < count ? kChunk : count - c * kChunk;
}

/// The sum of every chunk. A block a chunk.
template <class T>
__global__ void sum_chunks(const T* x, int64_t count, bool packed, double* sums) {
  const int64_t c = blockIdx.x;
  const double sum = block_sum(x + c * kChunk, chunk_size(c, count), packed, Same{});
  if (threadIdx.x == 0) sums[c] = sum;
}

/// y = factor times the sum of sums (count). One block.
template <class T>
__global__ void last_sum(const double* sums, int64_t count, bool packed, double factor, T* y) {
  const double sum = block_sum(sums, count, packed, Same{});
  if (threadIdx.x == 0) *y = static_cast<T>(factor * sum);
}

/// So many tensors a launch that a kernel's arguments (4 KB) hold them.
inline constexpr int kTogether = 128;

template <class T>
struct Together {
  const T* x[kTogether];
  int64_t count[kTogether];
  int64_t first[kTogether];  // chunk
  bool packed[kTogether];
  int tensors;
};

/// The sum of squares of every chunk of several tensors. A block a chunk.
template <class T>
__global__ void square_chunks(Together<T> of, double* sums) {
  const int64_t row = blockIdx.x;
  const int k = filigree::cuda::last_not_above<kTogether>(row, of.tensors,
                                                          [&](int i) { return of.first[i]; });
  const int64_t c = row - of.first[k];
  const double sum =
      block_sum(of.x[k] + c * kChunk, chunk_size(c, of.count[k]), of.packed[k], Square{});
  if (threadIdx.x == 0) sums[row] = sum;
}

template <class T>
struct Spread {
  const T* x;
  double factor;
  T* y;
  __device__ void operator()(int64_t i) const {
    y[i] = static_cast<T>(static_cast<double>(*x) * factor);
  }
};

int64_t chunks_of(int64_t count) { return (count + kChunk - 1) / kChunk; }

template <class T>
bool packed(const T* x) {
  return filigree::cuda::packs_fit<kPack<T>>(x);
}

template <class T>
Tensor chunk_sums(std::string_view op, const Tensor& x) {
  Tensor sums({chunks_of(x.numel())}, DType::f64, x.device());
  const T* from = x.data<T>();
  filigree::cuda::launch(op, x, {.blocks = sums.numel(), .threads = kThreads}, sum_chunks<T>, from,
                         x.numel(), packed(from), sums.data<double>());
  return sums;
}

/// y = factor times the sum of sums (n), f64.
template <class T>
void finish(std::string_view op, Tensor sums, double factor, Tensor& y) {
  while (sums.numel() > kChunk) sums = chunk_sums<double>(op, sums);
  const double* from = std::as_const(sums).data<double>();
  filigree::cuda::launch(op, y, {.threads = kThreads}, last_sum<T>, from, sums.numel(),
                         packed(from), factor, y.data<T>());
}

}  // namespace

void sum_all(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("sum", x.dtype(),
                 [&]<class T>() { finish<T>("sum", chunk_sums<T>("sum", x), factor, y); });
}

void spread_scalar(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("sum", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each("sum", y, y.numel(), Spread<T>{x.data<T>(), factor, y.data<T>()});
  });
}

void sum_squares(Tensor& squares, std::span<const Tensor> tensors) {
  if (tensors.empty()) return squares.fill(0);
  expect_one_kind("sum_squares", tensors, squares.device());
  int64_t chunks = 0;
  for (const Tensor& x : tensors) chunks += chunks_of(x.numel());
  Tensor sums({chunks}, DType::f64, squares.device());
  dispatch_float("sum_squares", tensors.front().dtype(), [&]<class T>() {
    double* to = sums.data<double>();
    while (!tensors.empty()) {
      const auto now = tensors.first(std::min<size_t>(tensors.size(), kTogether));
      tensors = tensors.subspan(now.size());
      Together<T> all{};
      static_assert(sizeof(all) <= 4000);
      int64_t rows = 0;
      for (const Tensor& x : now) {
        const int k = all.tensors++;
        all.x[k] = x.data<T>();
        all.count[k] = x.numel();
        all.first[k] = rows;
        all.packed[k] = packed(all.x[k]);
        rows += chunks_of(x.numel());
      }
      filigree::cuda::launch("sum_squares", squares, {.blocks = rows, .threads = kThreads},
                             square_chunks<T>, all, to);
      to += rows;
    }
  });
  finish<double>("sum_squares", sums, 1, squares);
}

}  // namespace filigree::kernels::cuda
