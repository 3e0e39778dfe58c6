// The tiles kernel: blocks of queries over the span of their intervals, by matrix products. Private
// to kernels.
#pragma once

#include <Eigen/Core>
#include <algorithm>

#include "attention/kernels/attention_rows.h"

namespace filigree::kernels {

inline constexpr int64_t kTileRows = 64;

template <class T>
using TileMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ConstRows = Eigen::Map<const TileMatrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using MutableRows = Eigen::Map<TileMatrix<T>, 0, Eigen::OuterStride<>>;

/// Rows [first, last) of one sequence and the columns [lo, hi) that their intervals span.
struct Tile {
  int64_t first, last, lo, hi;
  bool masked;  // some row's interval is not all of [lo, hi)
};

inline Tile make_tile(const HeadGraph& graph, int64_t first, int64_t last) {
  const int32_t *lo = graph.lo.data<int32_t>(), *hi = graph.hi.data<int32_t>();
  Tile tile{first, last, INT32_MAX, 0, false};
  for (int64_t i = first; i < last; ++i) {
    if (lo[i] >= hi[i]) continue;
    tile.lo = std::min<int64_t>(tile.lo, lo[i]);
    tile.hi = std::max<int64_t>(tile.hi, hi[i]);
  }
  for (int64_t i = first; i < last; ++i) tile.masked |= lo[i] != tile.lo || hi[i] != tile.hi;
  if (tile.hi == 0) tile.lo = 0;
  return tile;
}

/// True if every element of k and v in the tile's columns is finite. A matrix product multiplies
/// what is masked by 0, and 0 * NaN would leak; such tiles go row by row.
template <class T>
bool tile_is_finite(const HeadView<T>& head, const Tile& tile) {
  T sum = 0;
  for (int64_t j = tile.lo; j < tile.hi; ++j) {
    const T *k = head.k + j * head.stride, *v = head.v + j * head.stride;
    for (int64_t d = 0; d < head.dim; ++d) sum += k[d] * T(0) + v[d] * T(0);
  }
  return sum == T(0);
}

/// S = scale Q K^T + bias, -inf outside the intervals.
template <class T>
void tile_scores(const HeadView<T>& head, const HeadGraph& graph, const Tile& tile,
                 TileMatrix<T>& scores) {
  const int64_t rows = tile.last - tile.first, columns = tile.hi - tile.lo;
  const Eigen::OuterStride<> stride(head.stride);
  const ConstRows<T> q(head.q + tile.first * head.stride, rows, head.dim, stride);
  const ConstRows<T> k(head.k + tile.lo * head.stride, columns, head.dim, stride);
  scores.noalias() = q * k.transpose();
  const int32_t *lo = graph.lo.data<int32_t>(), *hi = graph.hi.data<int32_t>();
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t i = tile.first + r;
    T* s = &scores(r, 0);
    for (int64_t c = 0; c < columns; ++c) s[c] *= head.scale;
    if (head.bias) {
      for (int64_t c = 0; c < columns; ++c) s[c] += bias_of(head, i, tile.lo + c);
    }
    if (!tile.masked) continue;
    const int64_t from = lo[i] < hi[i] ? lo[i] - tile.lo : columns;
    const int64_t to = lo[i] < hi[i] ? hi[i] - tile.lo : columns;
    std::fill(s, s + from, -std::numeric_limits<T>::infinity());
    std::fill(s + to, s + columns, -std::numeric_limits<T>::infinity());
  }
}

template <class T>
void drop_row(const HeadView<T>& head, const Tile& tile, int64_t i, T* row, int64_t columns) {
  KeepBits keep(head.dropout, head.key, i);
  for (int64_t c = 0; c < columns; ++c) {
    row[c] *= static_cast<T>(keep.factor(static_cast<int32_t>(tile.lo + c)));
  }
}

template <class T>
void forward_tile(const HeadView<T>& head, const HeadGraph& graph, const Tile& tile) {
  const int64_t rows = tile.last - tile.first, columns = tile.hi - tile.lo;
  MutableRows<T> out(head.out + tile.first * head.width, rows, head.dim,
                     Eigen::OuterStride<>(head.width));
  if (columns == 0) {
    out.setZero();
    for (int64_t i = tile.first; i < tile.last; ++i) {
      head.lse[i * head.heads] = -std::numeric_limits<T>::infinity();
    }
    return;
  }
  TileMatrix<T> scores(rows, columns);
  tile_scores(head, graph, tile, scores);
  for (int64_t r = 0; r < rows; ++r) {
    T* s = &scores(r, 0);
    T top = s[0];
    for (int64_t c = 1; c < columns; ++c) top = s[c] > top ? s[c] : top;
    T& lse = head.lse[(tile.first + r) * head.heads];
    if (top == -std::numeric_limits<T>::infinity()) {
      lse = top;
      std::fill(s, s + columns, T(0));
      continue;
    }
    for (int64_t c = 0; c < columns; ++c) s[c] = exp_of(s[c] - top);
    const T sum = sum_of<T>(columns, [&](int64_t c) { return s[c]; });
    lse = top + std::log(sum);
    const T inverse = T(1) / sum;
    for (int64_t c = 0; c < columns; ++c) s[c] *= inverse;
    if (head.dropout > 0) drop_row(head, tile, tile.first + r, s, columns);
  }
  const ConstRows<T> v(head.v + tile.lo * head.stride, columns, head.dim,
                       Eigen::OuterStride<>(head.stride));
  out.noalias() = scores * v;
}

/// Adds the tile's part to dq, dk, dv and dbias.
template <class T>
void backward_tile(const HeadView<T>& head, const HeadGraph& graph, const Tile& tile, T* dbias) {
  const int64_t rows = tile.last - tile.first, columns = tile.hi - tile.lo;
  if (columns == 0) return;
  const Eigen::OuterStride<> stride(head.stride);
  const ConstRows<T> q(head.q + tile.first * head.stride, rows, head.dim, stride);
  const ConstRows<T> k(head.k + tile.lo * head.stride, columns, head.dim, stride);
  const ConstRows<T> v(head.v + tile.lo * head.stride, columns, head.dim, stride);
  const ConstRows<T> grad(head.grad + tile.first * head.width, rows, head.dim,
                          Eigen::OuterStride<>(head.width));
  MutableRows<T> dq(head.dq + tile.first * head.stride, rows, head.dim, stride);
  MutableRows<T> dk(head.dk + tile.lo * head.stride, columns, head.dim, stride);
  MutableRows<T> dv(head.dv + tile.lo * head.stride, columns, head.dim, stride);
  TileMatrix<T> weights(rows, columns), slopes(rows, columns);
  tile_scores(head, graph, tile, weights);
  slopes.noalias() = grad * v.transpose();
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t i = tile.first + r;
    T *a = &weights(r, 0), *s = &slopes(r, 0);
    const T lse = head.lse[i * head.heads];
    const bool empty = lse == -std::numeric_limits<T>::infinity();
    const T delta = dot<0>(head.grad + i * head.width, head.o + i * head.width, head.dim);
    for (int64_t c = 0; c < columns; ++c) a[c] = empty ? T(0) : exp_of(a[c] - lse);
    if (head.dropout > 0) drop_row(head, tile, i, s, columns);
    for (int64_t c = 0; c < columns; ++c) s[c] = a[c] * (s[c] - delta);
    if (dbias) {
      for (int64_t c = 0; c < columns; ++c) {
        const int64_t distance = tile.lo + c - i;
        if (std::abs(distance) <= head.reach) dbias[distance] += s[c];
      }
    }
    for (int64_t c = 0; c < columns; ++c) s[c] *= head.scale;
    if (head.dropout > 0) drop_row(head, tile, i, a, columns);
  }
  dq.noalias() += slopes * k;
  dk.noalias() += slopes.transpose() * q;
  dv.noalias() += weights.transpose() * grad;
}

}  // namespace filigree::kernels
