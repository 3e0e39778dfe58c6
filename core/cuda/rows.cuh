// Kernels that give a warp to every row, and sums in a fixed order. For .cu files alone.
#pragma once

#include <algorithm>
#include <string_view>

#include "core/cuda/context.cuh"
#include "core/cuda/element.cuh"
#include "core/cuda/pack.cuh"

namespace filigree::cuda {

inline constexpr int kWarp = 32, kRowWarps = 8;

/// Sum, or greatest, over the lanes of the calling warp; every lane gets it, with the same bits.
template <class T>
__device__ T warp_sum(T value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(~0U, value, step);
  return value;
}
/// A NaN is passed over.
template <class T>
__device__ T warp_max(T value) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(~0U, value, step);
    value = other > value ? other : value;
  }
  return value;
}

/// One warp on one row of `width` elements: lane l has the elements l, l + 32, ...
struct WarpRow {
  int64_t row;
  int64_t width;
  int lane;

  template <class F>
  __device__ void each(F f) const {
    for (int64_t j = lane; j < width; j += kWarp) f(j);
  }
  template <class T, class F>
  __device__ T sum(F f) const {
    T total = 0;
    for (int64_t j = lane; j < width; j += kWarp) total += f(j);
    return warp_sum(total);
  }
  /// `start`, or a greater f(j).
  template <class T, class F>
  __device__ T largest(T start, F f) const {
    T top = start;
    for (int64_t j = lane; j < width; j += kWarp) {
      const T value = f(j);
      top = value > top ? value : top;
    }
    return warp_max(top);
  }
};

template <class Body>
__global__ void for_rows_kernel(int64_t rows, int64_t width, Body body) {
  const int64_t row = int64_t{blockIdx.x} * kRowWarps + threadIdx.x / kWarp;
  if (row < rows) body(WarpRow{row, width, static_cast<int>(threadIdx.x % kWarp)});
}

/// body(WarpRow) for every row, on the device of `where`.
template <class Body>
void for_rows(std::string_view op, const Tensor& where, int64_t rows, int64_t width, Body body) {
  launch(op, where, {.blocks = (rows + kRowWarps - 1) / kRowWarps, .threads = kRowWarps * kWarp},
         for_rows_kernel<Body>, rows, width, body);
}

inline constexpr int kColumnRows = 8;         // rows of a block at a time
inline constexpr int64_t kColumnChunk = 128;  // rows of a block in all, if they are not too many
inline constexpr int kTallRows = 32;          // rows at a time of a block that has all rows
inline constexpr int64_t kMostTall = 1024;    // rows, where it has

/// Column sums of chunks of rows: block (x: 32 N columns, y: chunk). `Rows` rows at a time, their
/// sums added in order, which is the same for every N. Sum c of chunk k goes to to(k, c, sum).
template <class T, int N, int Rows, class To, class Body>
__global__ void __launch_bounds__(Rows* kWarp)
    column_sums_kernel(int64_t rows, int64_t width, int64_t chunk, Body body, To to) {
  __shared__ T partial[Rows][kWarp][N];
  const int lane = threadIdx.x % kWarp, part = threadIdx.x / kWarp;
  const int64_t column = (int64_t{blockIdx.x} * kWarp + lane) * N, first = blockIdx.y * chunk;
  const int64_t last = first + chunk < rows ? first + chunk : rows;
  T total[N] = {};
  if (column < width) {
    for (int64_t row = first + part; row < last; row += Rows) body.add(row, column, total);
  }
  for (int i = 0; i < N; ++i) partial[part][lane][i] = total[i];
  __syncthreads();
  if (part != 0 || column >= width) return;
  for (int i = 0; i < N; ++i) {
    T all = 0;
    for (int p = 0; p < Rows; ++p) all += partial[p][lane][i];
    to(blockIdx.y, column + i, all);
  }
}

/// Body of sums of stored rows.
template <class S>
struct RowsOf {
  const S* x;
  int64_t width;
  template <class T, int N>
  __device__ void add(int64_t row, int64_t column, T (&total)[N]) const {
    const auto values = load_pack<S, N>(x + row * width + column);
    for (int i = 0; i < N; ++i) total[i] += load(values.of[i]);
  }
};

/// Sums are stored as rows.
template <class Out>
struct ToRows {
  Out* sums;
  int64_t width;
  template <class T>
  __device__ void operator()(int64_t row, int64_t column, T sum) const {
    sums[row * width + column] = convert<Out>(sum);
  }
};

/// to(0, c, sum) for every column c < width, with the sum over all rows of what
/// body.add(row, c, total) adds to N totals (c and its neighbours), in an order that depends on the
/// sizes alone. N divides the width. One launch for up to kMostTall rows, else two, where there are
/// no more than 128 times as many.
template <class T, int N, class To, class Body>
void column_sums(std::string_view op, const Tensor& where, int64_t rows, int64_t width, Body body,
                 To to) {
  if (rows <= kMostTall) {  // a column a lane: more blocks
    launch(op, where, {.blocks = (width + kWarp - 1) / kWarp, .threads = kTallRows * kWarp},
           column_sums_kernel<T, 1, kTallRows, To, Body>, rows, width, rows, body, to);
    return;
  }
  constexpr int64_t kMostChunks = 65535;  // blockIdx.y has 16 bits
  const int64_t tiles = (width + kWarp * N - 1) / (kWarp * N);
  const int64_t chunk = std::max(kColumnChunk, (rows + kMostChunks - 1) / kMostChunks);
  const int64_t chunks = (rows + chunk - 1) / chunk;
  Tensor partial({chunks, width}, dtype_of<T>, where.device());
  T* sums = partial.template data<T>();
  launch(op, where, {.blocks = tiles, .heads = chunks, .threads = kColumnRows * kWarp},
         column_sums_kernel<T, N, kColumnRows, ToRows<T>, Body>, rows, width, chunk, body,
         ToRows<T>{sums, width});
  column_sums<T, 1>(op, where, chunks, width, RowsOf<T>{sums, width}, to);
}

/// sums (width) of the rows of x (rows, width).
template <class S, class Out>
void column_sums(std::string_view op, const Tensor& where, int64_t rows, int64_t width, const S* x,
                 Out* sums) {
  constexpr int N = kPack<S>;
  const RowsOf<S> body{x, width};
  const ToRows<Out> to{sums, width};
  if (width % N == 0 && packs_fit<N>(x)) {
    column_sums<Compute<S>, N>(op, where, rows, width, body, to);
  } else {
    column_sums<Compute<S>, 1>(op, where, rows, width, body, to);
  }
}

}  // namespace filigree::cuda
