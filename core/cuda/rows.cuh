// Kernels that give a warp to every row, and sums in a fixed order. For .cu files alone.
#pragma once

#include <string_view>

#include "core/cuda/context.cuh"
#include "core/cuda/element.cuh"

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
inline constexpr int64_t kColumnChunk = 512;  // rows of a block in all

/// Column sums of a chunk of rows: block (x: 32 columns, y: chunk). 8 rows at a time, their sums
/// added in order.
template <class T, class Out, class Body>
__global__ void column_sums_kernel(int64_t rows, int64_t width, Body body, Out* sums) {
  __shared__ T partial[kColumnRows][kWarp];
  const int lane = threadIdx.x % kWarp, part = threadIdx.x / kWarp;
  const int64_t column = int64_t{blockIdx.x} * kWarp + lane, first = blockIdx.y * kColumnChunk;
  const int64_t last = first + kColumnChunk < rows ? first + kColumnChunk : rows;
  T total = 0;
  if (column < width) {
    for (int64_t row = first + part; row < last; row += kColumnRows) total += body(row, column);
  }
  partial[part][lane] = total;
  __syncthreads();
  if (part == 0 && column < width) {
    T all = 0;
    for (int p = 0; p < kColumnRows; ++p) all += partial[p][lane];
    sums[blockIdx.y * width + column] = convert<Out>(all);
  }
}

/// Body of sums of stored rows.
template <class S>
struct RowsOf {
  const S* x;
  int64_t width;
  __device__ Compute<S> operator()(int64_t row, int64_t column) const {
    return load(x[row * width + column]);
  }
};

/// sums (width): over all rows of body(row, column), which is of T, in an order that depends on the
/// sizes alone.
template <class T, class Out, class Body>
void column_sums(std::string_view op, const Tensor& where, int64_t rows, int64_t width, Body body,
                 Out* sums) {
  const int64_t tiles = (width + kWarp - 1) / kWarp;
  const int64_t chunks = (rows + kColumnChunk - 1) / kColumnChunk;
  if (chunks <= 1) {
    launch(op, where, {.blocks = tiles, .threads = kColumnRows * kWarp},
           column_sums_kernel<T, Out, Body>, rows, width, body, sums);
    return;
  }
  Tensor partial({chunks, width}, dtype_of<T>, where.device());
  // blockIdx.y has 16 bits: 32 million rows
  launch(op, where, {.blocks = tiles, .heads = chunks, .threads = kColumnRows * kWarp},
         column_sums_kernel<T, T, Body>, rows, width, body, partial.template data<T>());
  column_sums<T>(op, where, chunks, width, RowsOf<T>{partial.template data<T>(), width}, sums);
}

}  // namespace filigree::cuda
