// The edges kernel: scattered edges, column by column of a block of queries. Private to kernels.
#pragma once

#include <numeric>

#include "attention/kernels/edge_blocks.h"
#include "attention/kernels/row_state.h"
#include "attention/kernels/scratch.h"

namespace filigree::kernels {

/// A row of `dim` elements: V vectors, in registers as far as there are any, or (V = 0) in
/// `buffer`, filled up with zeros.
template <int V, class T>
struct KeyRow {
  static constexpr int kHeld = V > 0 ? V : 1;
  Vec<T> held[kHeld];
  const T* row;
  int64_t vectors;

  KeyRow(const T* from, int64_t dim, T* buffer) : row(buffer), vectors(padded<T>(dim) / kLanes<T>) {
    if constexpr (V > 0) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) held[v] = load(from + v * kLanes<T>);
    } else {
      if (from != buffer) std::copy(from, from + dim, buffer);
      std::fill(buffer + dim, buffer + vectors * kLanes<T>, T(0));
    }
  }

  T dot(const T* other) const { return sum_lanes<T>(products(other)); }
  /// The dot product, lane by lane.
  Vec<T> products(const T* other) const {
    Vec<T> sum{};
    if constexpr (V > 0) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum += held[v] * load(other + v * kLanes<T>);
    } else {
      for (int64_t v = 0; v < vectors; ++v) {
        sum += load(row + v * kLanes<T>) * load(other + v * kLanes<T>);
      }
    }
    return sum;
  }
  /// to += factor * row
  void add_to(T* to, T factor) const {
    if constexpr (V > 0) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        store(to + v * kLanes<T>, load(to + v * kLanes<T>) + factor * held[v]);
      }
    } else {
      for (int64_t v = 0; v < vectors; ++v) {
        store(to + v * kLanes<T>, load(to + v * kLanes<T>) + factor * load(row + v * kLanes<T>));
      }
    }
  }
  /// row += factor * other, for a row that is held (V > 0) or is its own buffer.
  void add(const T* other, T factor, T* buffer) {
    if constexpr (V > 0) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) held[v] += factor * load(other + v * kLanes<T>);
    } else {
      for (int64_t v = 0; v < vectors; ++v) {
        store(buffer + v * kLanes<T>,
              load(buffer + v * kLanes<T>) + factor * load(other + v * kLanes<T>));
      }
    }
  }
  void write(T* to) const {
    if constexpr (V > 0) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) store(to + v * kLanes<T>, held[v]);
    }
  }
};

/// Vectors of each of three rows that stay in registers beside what is added to them.
inline constexpr int kHeldOfThree = kVectorRegisters == 32 ? 8 : 4;

/// body(column's place, its first and end entry) for every column.
template <class Body>
void for_columns(const EdgeBlock& block, Body body) {
  uint32_t begin = 0;
  for (size_t c = 0; c < block.columns.size(); ++c) {
    body(block.columns[c], block.entries.data() + begin, block.entries.data() + block.ends[c]);
    begin = block.ends[c];
  }
}

/// Column of every score; of padding, that of the row itself.
inline void score_columns(const EdgeBlock& block, int32_t* columns) {
  for (int64_t r = 0; r < block.last - block.first; ++r) {
    std::fill(columns + block.starts[static_cast<size_t>(r)],
              columns + block.starts[static_cast<size_t>(r) + 1],
              static_cast<int32_t>(block.first + r));
  }
  for_columns(block, [&](int32_t j, const uint32_t* entry, const uint32_t* end) {
    for (; entry < end; ++entry) columns[*entry >> kRowBits] = j;
  });
}

/// Writes -inf to the scores that pad a row.
template <class T>
void pad_scores(const EdgeBlock& block, T* s) {
  for (size_t r = 1; r < block.starts.size(); ++r) {
    const int64_t begin = block.starts[r - 1], end = block.starts[r];
    std::fill(s + std::max(begin, end - kScorePad), s + end, kMinusInfinity<T>);
  }
}

/// Finds the columns of the scores where they are needed; adds bias and gate.
template <class T>
void add_bias_and_gate(const HeadView<T>& head, const EdgeBlock& block, int32_t* columns, T* s) {
  if (!head.adds() && !head.keep.drops()) return;
  score_columns(block, columns);
  if (!head.adds()) return;
  for (int64_t r = 0; r < block.last - block.first; ++r) {
    const int64_t i = block.first + r, begin = block.starts[static_cast<size_t>(r)];
    const int64_t end = block.starts[static_cast<size_t>(r) + 1];
    if (head.bias) {
      for (int64_t e = begin; e < end; ++e) s[e] += bias_of(head, i, columns[e]);
    }
    if (head.gate.on()) add_gate(head.gate, i, s + begin, end - begin, Listed{columns + begin});
  }
}

/// Takes the block's edges into `state`, whose row 0 (and that of q) is row `first`.
template <int V, class T>
void edges_forward(const HeadView<T>& head, const EdgeBlock& block, int64_t first, const T* q,
                   RowState<T>& state, T* s, int32_t* columns, T* buffer) {
  const int64_t width = V > 0 ? V * kLanes<T> : state.width, at = block.first - first;
  const T* query = q + at * width;
  pad_scores(block, s);
  for_columns(block, [&](int32_t j, const uint32_t* entry, const uint32_t* end) {
    const KeyRow<V, T> key(head.k + j * head.stride, head.dim, buffer);
    for (; entry < end; ++entry)
      s[*entry >> kRowBits] = key.dot(query + (*entry & (kEdgeRows - 1)) * width);
  });
  add_bias_and_gate(head, block, columns, s);
  for (int64_t r = 0; r < block.last - block.first; ++r) {
    const int64_t begin = block.starts[static_cast<size_t>(r)];
    const int64_t count = block.starts[static_cast<size_t>(r) + 1] - begin;
    if (count == 0) continue;
    state.add_scores(at + r, s + begin, count);
    if (head.keep.drops()) {
      drop_weights(head, block.first + r, s + begin, count, Listed{columns + begin});
    }
  }
  T* out = state.out + at * width;
  for_columns(block, [&](int32_t j, const uint32_t* entry, const uint32_t* end) {
    const KeyRow<V, T> value(head.v + j * head.stride, head.dim, buffer);
    for (; entry < end; ++entry)
      value.add_to(out + (*entry & (kEdgeRows - 1)) * width, s[*entry >> kRowBits]);
  });
}

/// Adds what the block's edges give to the gradients. buffer: 2 rows.
template <int V, class T>
void edges_backward(const HeadView<T>& head, const EdgeBlock& block, const RowGradients<T>& rows,
                    T* s, T* dp, int32_t* columns, T* buffer) {
  const int64_t width = V > 0 ? V * kLanes<T> : rows.width;
  const int64_t at = (block.first - rows.first) * width;
  const T *query = rows.q + at, *grad = rows.grad + at;
  std::fill(dp, dp + block.scores(), T(0));
  pad_scores(block, s);
  for_columns(block, [&](int32_t j, const uint32_t* entry, const uint32_t* end) {
    const int64_t from = (j - rows.key_first) * width;
    const KeyRow<V, T> key(rows.k + from, width, buffer);
    const KeyRow<V, T> value(rows.v + from, width, buffer + width);
    for (; entry < end; ++entry) {
      const uint32_t place = *entry >> kRowBits;
      const int64_t row = (*entry & (kEdgeRows - 1)) * width;
      const auto sums = sum_lanes_of_two<T>(key.products(query + row), value.products(grad + row));
      s[place] = sums[0];
      dp[place] = sums[1];
    }
  });
  add_bias_and_gate(head, block, columns, s);
  for (int64_t r = 0; r < block.last - block.first; ++r) {
    const int64_t begin = block.starts[static_cast<size_t>(r)];
    weights_and_slopes(head, rows, block.first + r, s + begin, dp + begin,
                       block.starts[static_cast<size_t>(r) + 1] - begin, Listed{columns + begin});
  }
  T* dquery = rows.dq + at;
  constexpr int held = V <= kHeldOfThree ? V : std::gcd(V, kHeldOfThree);  // of each row at once
  static_assert(V == 0 || V % held == 0);
  const int64_t step = V > 0 ? held * kLanes<T> : width;
  for_columns(block, [&](int32_t j, const uint32_t* first, const uint32_t* end) {
    const int64_t from = (j - rows.key_first) * width;
    for (int64_t d = 0; d < width; d += step) {
      T *dk = rows.dk + from + d, *dv = rows.dv + from + d;
      const KeyRow<held, T> key(rows.k + from + d, width, buffer);
      KeyRow<held, T> dkey(dk, width, dk), dvalue(dv, width, dv);
      for (const uint32_t* entry = first; entry < end; ++entry) {
        const uint32_t place = *entry >> kRowBits;
        const int64_t row = (*entry & (kEdgeRows - 1)) * width + d;
        dvalue.add(grad + row, s[place], dv);
        dkey.add(query + row, dp[place], dk);
        key.add_to(dquery + row, dp[place]);
      }
      dkey.write(dk);
      dvalue.write(dv);
    }
  });
}

/// Calls body.template operator()<V>() with the number of vectors of a head of `dim` if that is
/// specialised (16, 32, 64, 96 and 128), else with 0.
template <class T, class Body>
void with_vectors(int64_t dim, Body body) {
  constexpr int W = kLanes<T>;
  switch (dim) {
    case 16:
      return body.template operator()<16 / W>();
    case 32:
      return body.template operator()<32 / W>();
    case 64:
      return body.template operator()<64 / W>();
    case 96:
      return body.template operator()<96 / W>();
    case 128:
      return body.template operator()<128 / W>();
    default:
      return body.template operator()<0>();
  }
}

}  // namespace filigree::kernels
