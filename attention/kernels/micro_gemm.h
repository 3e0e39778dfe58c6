// Products of small matrices that stay in registers and the first caches. Private to kernels.
#pragma once

#include <algorithm>
#include <array>

#include "core/kernels/simd.h"

namespace filigree::kernels {

/// Rows that one step of the product holds in registers, and its vectors of columns.
inline constexpr int kMicroRows = 6;
inline constexpr int kMicroVectors = kVectorRegisters == 32 ? 4 : 2;

/// The left side: element (m, k) at data[m row + k step].
template <class T>
struct Left {
  const T* data;
  int64_t row, step;
};
/// The right side, in vectors along its columns: vector v of row k at data[k row + v vector].
template <class T>
struct Right {
  const T* data;
  int64_t row, vector;
};

/// C (M x N vectors, row stride `c_row`) = or += A B over `depth`.
template <bool accumulate, int M, int N, class T>
void micro_step(Left<T> a, Right<T> b, T* c, int64_t c_row, int64_t depth) {
  constexpr int W = kLanes<T>;
  Vec<T> sum[M][N];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      sum[m][v] = accumulate ? load(c + m * c_row + v * W) : Vec<T>{};
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec<T> right[N];
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) right[v] = load(b.data + k * b.row + v * b.vector);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const T left = a.data[m * a.row + k * a.step];
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) sum[m][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) store(c + m * c_row + v * W, sum[m][v]);
  }
}

template <bool accumulate, class T>
using MicroStep = void (*)(Left<T>, Right<T>, T*, int64_t, int64_t);

/// The steps of every shape up to kMicroRows x kMicroVectors: [M - 1][N - 1].
template <bool accumulate, class T>
inline constexpr auto kMicroSteps = []<size_t... I>(std::index_sequence<I...>) {
  return std::array<MicroStep<accumulate, T>, sizeof...(I)>{
      &micro_step<accumulate, static_cast<int>(I) / kMicroVectors + 1,
                  static_cast<int>(I) % kMicroVectors + 1, T>...};
}
(std::make_index_sequence<static_cast<size_t>(kMicroRows* kMicroVectors)>());

/// C (rows x vectors) = A B, or += with `accumulate`; any number of rows and vectors. Each element
/// is one sum over k in ascending order, so that a cut into parts does not change the bits.
template <bool accumulate, class T>
void micro_gemm(int64_t rows, int64_t vectors, int64_t depth, Left<T> a, Right<T> b, T* c,
                int64_t c_row) {
  for (int64_t v = 0; v < vectors; v += kMicroVectors) {
    const int64_t wide = std::min<int64_t>(kMicroVectors, vectors - v);
    const Right<T> right{b.data + v * b.vector, b.row, b.vector};
    for (int64_t m = 0; m < rows; m += kMicroRows) {
      const int64_t high = std::min<int64_t>(kMicroRows, rows - m);
      const auto step =
          kMicroSteps<accumulate, T>[static_cast<size_t>((high - 1) * kMicroVectors + wide - 1)];
      step({a.data + m * a.row, a.row, a.step}, right, c + m * c_row + v * kLanes<T>, c_row, depth);
    }
  }
}

}  // namespace filigree::kernels
