// The tiles kernel: intervals of keys by products of small matrices, FlashAttention's order (Dao et
// al., arXiv 2205.14135) on a CPU. Private to kernels.
#pragma once

#include "attention/kernels/micro_gemm.h"
#include "attention/kernels/packing.h"
#include "attention/kernels/row_state.h"
#include "attention/kernels/schedule.h"
#include "attention/kernels/scratch.h"

namespace filigree::kernels {

inline constexpr int64_t kForwardKeys = 512;   // keys whose scores are held at once, forward
inline constexpr int64_t kBackwardKeys = 128;  // and backward,
inline constexpr int64_t kBackwardRows = 48;   // for so many queries

/// The whole vectors of columns that rows [first, last) see in [from, to), relative to `from`.
template <class T>
Span visible_columns(const Intervals& graph, int64_t first, int64_t last, int64_t from,
                     int64_t to) {
  constexpr int64_t W = kLanes<T>;
  int64_t lo = to, hi = from;
  for (int64_t i = first; i < last; ++i) {
    if (graph.lo[i] >= graph.hi[i]) continue;
    lo = std::min<int64_t>(lo, graph.lo[i]);
    hi = std::max<int64_t>(hi, graph.hi[i]);
  }
  lo = std::max(lo, from);
  hi = std::min(hi, to);
  if (lo >= hi) return {};
  return {(lo - from) / W * W, (hi - from + W - 1) / W * W};
}

/// Adds bias and gate to the scores of row i at columns first .. first + count - 1, and writes -inf
/// over those that it does not see.
template <class T>
void bias_and_mask(const HeadView<T>& head, const Intervals& graph, int64_t i, int64_t first,
                   int64_t count, T* s) {
  if (head.bias) {
    for (int64_t c = 0; c < count; ++c) s[c] += bias_of(head, i, first + c);
  }
  if (head.gate.on()) add_gate(head.gate, i, s, count, Consecutive{first});
  const int64_t lo = std::clamp<int64_t>(graph.lo[i] - first, 0, count);
  const int64_t hi = std::clamp<int64_t>(graph.hi[i] - first, lo, count);
  std::fill(s, s + lo, kMinusInfinity<T>);
  std::fill(s + hi, s + count, kMinusInfinity<T>);
  for (const int32_t hole : graph.holes_between(i, first, first + count)) {
    s[hole - first] = kMinusInfinity<T>;
  }
}

/// Takes the intervals of rows [first, last) into `state`. False, with nothing done, if a value of
/// theirs is not finite while some row does not see it: 0 NaN would leak into the product of
/// weights and values. (Scores of what is not seen are overwritten, whatever the key.)
template <class T>
bool tiles_forward(const HeadView<T>& head, const Intervals& graph, int64_t first, int64_t last,
                   const T* q, RowState<T>& state, Scratch& scratch) {
  constexpr int64_t W = kLanes<T>;
  const Span keys = graph.keys_of(first, last);
  if (keys.empty()) return true;
  const int64_t count = keys.end - keys.begin, dim = head.dim, width = state.width;
  const T *k = head.k + keys.begin * head.stride, *v = head.v + keys.begin * head.stride;
  if (graph.masked && !all_finite(v, head.stride, count, dim)) return false;
  T* panels = scratch.take<T>(padded<T>(count) * dim);
  T* values = scratch.take<T>(padded<T>(count) * width);
  T* s = scratch.take<T>(kMicroRows * kForwardKeys);
  pack_panels(k, head.stride, count, dim, panels);
  pack_rows(v, head.stride, count, dim, T(1), values);
  std::fill(values + count * width, values + padded<T>(count) * width, T(0));
  for (int64_t from = keys.begin; from < keys.end; from += kForwardKeys) {
    const int64_t to = std::min(keys.end, from + kForwardKeys);
    for (int64_t r = first; r < last; r += kMicroRows) {
      const int64_t rows = std::min<int64_t>(kMicroRows, last - r);
      const Span seen = visible_columns<T>(graph, r, r + rows, from, to);
      if (seen.empty()) continue;
      const int64_t at = from - keys.begin + seen.begin, size = seen.end - seen.begin;
      micro_gemm<false, T>(rows, size / W, dim, {q + (r - first) * width, width, 1},
                           {panels + at * dim, W, dim * W}, s, kForwardKeys);
      for (int64_t i = r; i < r + rows; ++i) {
        T* scores = s + (i - r) * kForwardKeys;
        bias_and_mask(head, graph, i, from + seen.begin, size, scores);
        state.add_scores(i - first, scores, size);
        if (head.keep.drops()) {
          drop_weights(head, i, scores, size, Consecutive{from + seen.begin});
        }
      }
      micro_gemm<true, T>(rows, width / W, size, {s, kForwardKeys, 1},
                          {values + at * width, width, W}, state.out + (r - first) * width, width);
    }
  }
  return true;
}

template <class T>
size_t tiles_forward_bytes(int64_t keys, int64_t dim) {
  return Scratch::bytes_for<T>(padded<T>(keys) * dim) +
         Scratch::bytes_for<T>(padded<T>(keys) * padded<T>(dim)) +
         Scratch::bytes_for<T>(kMicroRows * kForwardKeys);
}

/// One tile of the backward pass: kBackwardRows queries, kBackwardKeys keys.
template <class T>
struct BackwardTile {
  T *weights, *slopes;                        // (kBackwardRows, kBackwardKeys)
  const T *key_panels, *value_panels, *keys;  // of the tile's keys
  Span seen[kBackwardRows / kMicroRows];      // by each step of rows
  Span all;                                   // by any
};

/// Adds the tile at rows [first, last) and keys from `from` on to the gradients.
template <class T>
void tile_backward(const HeadView<T>& head, const Intervals& graph, const RowGradients<T>& rows,
                   const BackwardTile<T>& tile, int64_t first, int64_t last, int64_t from) {
  constexpr int64_t W = kLanes<T>, ld = kBackwardKeys;
  const int64_t width = rows.width, dim = head.dim, steps = (last - first + 5) / kMicroRows;
  for (int64_t g = 0; g < steps; ++g) {
    const int64_t r = first + g * kMicroRows, high = std::min<int64_t>(kMicroRows, last - r);
    const Span seen = tile.seen[g];
    T *s = tile.weights + g * kMicroRows * ld, *ds = tile.slopes + g * kMicroRows * ld;
    for (int64_t m = 0; m < high; ++m) {  // products over several steps of rows read these zeros
      const Span gaps[] = {seen.empty() ? tile.all : Span{tile.all.begin, seen.begin},
                           seen.empty() ? Span{} : Span{seen.end, tile.all.end}};
      for (const Span gap : gaps) {
        if (gap.empty()) continue;
        std::fill(s + m * ld + gap.begin, s + m * ld + gap.end, T(0));
        std::fill(ds + m * ld + gap.begin, ds + m * ld + gap.end, T(0));
      }
    }
    if (seen.empty()) continue;
    const int64_t size = seen.end - seen.begin, at = r - rows.first;
    micro_gemm<false, T>(high, size / W, dim, {rows.q + at * width, width, 1},
                         {tile.key_panels + seen.begin * dim, W, dim * W}, s + seen.begin, ld);
    micro_gemm<false, T>(high, size / W, dim, {rows.grad + at * width, width, 1},
                         {tile.value_panels + seen.begin * dim, W, dim * W}, ds + seen.begin, ld);
    for (int64_t m = 0; m < high; ++m) {
      T* scores = s + m * ld + seen.begin;
      bias_and_mask(head, graph, r + m, from + seen.begin, size, scores);
      weights_and_slopes(head, rows, r + m, scores, ds + m * ld + seen.begin, size,
                         Consecutive{from + seen.begin});
    }
    micro_gemm<true, T>(high, width / W, size, {ds + seen.begin, ld, 1},
                        {tile.keys + seen.begin * width, width, W}, rows.dq + at * width, width);
  }
  for (int64_t c = tile.all.begin; c < tile.all.end; c += kMicroRows) {
    const int64_t end = std::min(c + kMicroRows, tile.all.end);
    int64_t top = steps, bottom = 0;  // steps of rows that see a key of [c, end)
    for (int64_t g = 0; g < steps; ++g) {
      if (tile.seen[g].empty() || tile.seen[g].begin >= end || tile.seen[g].end <= c) continue;
      top = std::min(top, g);
      bottom = g + 1;
    }
    if (top >= bottom) continue;
    const int64_t r = top * kMicroRows, depth = std::min(last - first, bottom * kMicroRows) - r;
    const int64_t row = first + r - rows.first, key = from + c - rows.key_first;
    micro_gemm<true, T>(end - c, width / W, depth, {tile.weights + r * ld + c, 1, ld},
                        {rows.grad + row * width, width, W}, rows.dv + key * width, width);
    micro_gemm<true, T>(end - c, width / W, depth, {tile.slopes + r * ld + c, 1, ld},
                        {rows.q + row * width, width, W}, rows.dk + key * width, width);
  }
}

/// Adds what the intervals of rows [first, last) give to the gradients. dk and dv have room for
/// whole vectors of keys. False as tiles_forward(), for the keys, queries and gradients that meet
/// weights and slopes of 0.
template <class T>
bool tiles_backward(const HeadView<T>& head, const Intervals& graph, int64_t first, int64_t last,
                    const RowGradients<T>& rows, Scratch& scratch) {
  const Span keys = graph.keys_of(first, last);
  if (keys.empty()) return true;
  const int64_t dim = head.dim, width = rows.width;
  if (graph.masked) {
    const int64_t at = first - rows.first, count = last - first, seen = keys.end - keys.begin;
    if (!all_finite(head.k + keys.begin * head.stride, head.stride, seen, dim) ||
        !all_finite(rows.q + at * width, width, count, dim) ||
        !all_finite(rows.grad + at * width, width, count, dim)) {
      return false;
    }
  }
  T* key_panels = scratch.take<T>(padded<T>(kBackwardKeys) * dim);
  T* value_panels = scratch.take<T>(padded<T>(kBackwardKeys) * dim);
  T* key_rows = scratch.take<T>(kBackwardKeys * width);
  T* weights = scratch.take<T>(kBackwardRows * kBackwardKeys);
  T* slopes = scratch.take<T>(kBackwardRows * kBackwardKeys);
  BackwardTile<T> tile{weights, slopes, key_panels, value_panels, key_rows, {}, {}};
  for (int64_t from = keys.begin; from < keys.end; from += kBackwardKeys) {
    const int64_t to = std::min(keys.end, from + kBackwardKeys);
    bool packed = false;
    for (int64_t r = first; r < last; r += kBackwardRows) {
      const int64_t end = std::min(last, r + kBackwardRows);
      tile.all = {kBackwardKeys, 0};
      for (int64_t g = 0; r + g * kMicroRows < end; ++g) {
        const int64_t row = r + g * kMicroRows;
        tile.seen[g] = visible_columns<T>(graph, row, std::min(end, row + kMicroRows), from, to);
        if (tile.seen[g].empty()) continue;
        tile.all.begin = std::min(tile.all.begin, tile.seen[g].begin);
        tile.all.end = std::max(tile.all.end, tile.seen[g].end);
      }
      if (tile.all.empty()) continue;
      if (!packed) {
        const T *key = head.k + from * head.stride, *value = head.v + from * head.stride;
        pack_panels(key, head.stride, to - from, dim, key_panels);
        pack_panels(value, head.stride, to - from, dim, value_panels);
        pack_rows(key, head.stride, to - from, dim, T(1), key_rows);
        std::fill(key_rows + (to - from) * width, key_rows + kBackwardKeys * width, T(0));
        packed = true;
      }
      tile_backward(head, graph, rows, tile, r, end, from);
    }
  }
  return true;
}

template <class T>
size_t tiles_backward_bytes(int64_t dim) {
  return 2 * Scratch::bytes_for<T>(padded<T>(kBackwardKeys) * dim) +
         Scratch::bytes_for<T>(kBackwardKeys * padded<T>(dim)) +
         2 * Scratch::bytes_for<T>(kBackwardRows * kBackwardKeys);
}

}  // namespace filigree::kernels
