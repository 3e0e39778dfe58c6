// Copies of a head's rows in the layouts that the products read. Private to kernels.
#pragma once

#include <algorithm>

#include "core/kernels/simd.h"

namespace filigree::kernels {

/// Rows [0, rows) of x (row stride `stride`, `dim` wide) times `factor`, at stride padded(dim) and
/// filled up with zeros.
template <class T>
void pack_rows(const T* x, int64_t stride, int64_t rows, int64_t dim, T factor, T* to) {
  const int64_t width = padded<T>(dim);
  for (int64_t i = 0; i < rows; ++i) {
    const T* from = x + i * stride;
    T* row = to + i * width;
    for (int64_t d = 0; d < dim; ++d) row[d] = from[d] * factor;
    std::fill(row + dim, row + width, T(0));
  }
}

/// Rows of x as columns: panels of kLanes rows, element (row, d) at
/// to[(row / W) dim W + d W + row % W]. The last panel is filled up with zeros.
template <class T>
void pack_panels(const T* x, int64_t stride, int64_t rows, int64_t dim, T* to) {
  constexpr int64_t W = kLanes<T>;
  for (int64_t first = 0; first < rows; first += W, to += dim * W) {
    const int64_t count = std::min(W, rows - first);
    const T* from = x + first * stride;
    if (count == W) {
      for (int64_t d = 0; d < dim; ++d) {
        for (int64_t l = 0; l < W; ++l) to[d * W + l] = from[l * stride + d];
      }
    } else {
      std::fill(to, to + dim * W, T(0));
      for (int64_t l = 0; l < count; ++l) {
        for (int64_t d = 0; d < dim; ++d) to[d * W + l] = from[l * stride + d];
      }
    }
  }
}

/// True if rows [0, rows) hold no NaN and no infinity: 0 x is 0 for all others.
template <class T>
bool all_finite(const T* x, int64_t stride, int64_t rows, int64_t dim) {
  constexpr int64_t W = kLanes<T>, N = 4;  // sums that do not wait for each other
  Vec<T> sums[N] = {};
  T rest = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const T* row = x + i * stride;
    int64_t d = 0;
    for (; d + N * W <= dim; d += N * W) {
#pragma GCC unroll 4
      for (int64_t n = 0; n < N; ++n) sums[n] += load(row + d + n * W) * T(0);
    }
    for (; d + W <= dim; d += W) sums[0] += load(row + d) * T(0);
    for (; d < dim; ++d) rest += row[d] * T(0);
  }
  return sum_lanes<T>(sums[0] + sums[1] + (sums[2] + sums[3])) + rest == T(0);
}

}  // namespace filigree::kernels
