// Loops over elements and rows for CPU kernels, with a fixed partition of the work.
#pragma once

#include <string_view>
#include <vector>

#include "core/parallel.h"
#include "core/tensor.h"

namespace filigree::kernels {

inline constexpr int64_t kElementGrain = 1 << 14;

/// to_i = f(from_i).
template <class T, class F>
void map_elements(const Tensor& from, Tensor& to, F f) {
  const T* x = from.data<T>();
  T* y = to.data<T>();
  parallel_ranges(from.numel(), kElementGrain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) y[i] = f(x[i]);
  });
}

/// to_i = f(a_i, b_i).
template <class T, class F>
void map_elements(const Tensor& a, const Tensor& b, Tensor& to, F f) {
  const T* x = a.data<T>();
  const T* z = b.data<T>();
  T* y = to.data<T>();
  parallel_ranges(a.numel(), kElementGrain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) y[i] = f(x[i], z[i]);
  });
}

/// Rows a chunk of about kElementGrain elements holds.
inline int64_t row_grain(int64_t width) {
  return std::max<int64_t>(1, kElementGrain / (width + 1));
}

/// body(row) for every row.
template <class F>
void for_rows(int64_t rows, int64_t width, F body) {
  parallel_for(rows, row_grain(width), body);
}

/// Adds up, in a fixed order, what chunks of rows contribute to `width` sums:
/// body(first, last, partial) adds rows first .. last-1 to partial[0 .. width).
template <class T, class F>
void reduce_rows(int64_t rows, int64_t width, T* sums, F body) {
  const int64_t grain = std::max<int64_t>(64, (rows + 15) / 16);
  const int64_t chunks = (rows + grain - 1) / grain;
  std::vector<T> partial(static_cast<size_t>(std::max<int64_t>(chunks, 0) * width), T(0));
  parallel_ranges(rows, grain, [&](int64_t first, int64_t last) {
    body(first, last, partial.data() + first / grain * width);
  });
  std::fill(sums, sums + width, T(0));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t j = 0; j < width; ++j) sums[j] += partial[static_cast<size_t>(chunk * width + j)];
  }
}

/// Sum of `width` numbers from 8 running sums: vectorises, in one fixed order.
template <class T, class F>
T sum_of(int64_t width, F term) {
  T lanes[8] = {};
  int64_t j = 0;
  for (; j + 8 <= width; j += 8) {
    for (int64_t l = 0; l < 8; ++l) lanes[l] += term(j + l);
  }
  T total = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
            ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
  for (; j < width; ++j) total += term(j);
  return total;
}

}  // namespace filigree::kernels
