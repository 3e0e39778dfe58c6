// Softmax over columns that come in parts. Private to kernels.
#pragma once

#include <cmath>
#include <limits>

#include "attention/kernels/head_view.h"
#include "core/kernels/simd_exp.h"

namespace filigree::kernels {

template <class T>
inline constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();

/// What is known of rows after some of their columns: with m the largest score so far,
/// sum = sum_j e^{s_j - m} and out = sum_j e^{s_j - m} f_j v_j (f: dropout factors). out has rows
/// of padded(dim). Milakov and Gimelshein, arXiv 1805.02867.
template <class T>
struct RowState {
  T *top, *sum, *out;
  int64_t width;

  void clear(int64_t rows) {
    std::fill(top, top + rows, kMinusInfinity<T>);
    std::fill(sum, sum + rows, T(0));
    std::fill(out, out + rows * width, T(0));
  }

  /// Takes in `count` (whole vectors) scores of row r, -inf for none, and leaves e^{s - m} in their
  /// place; scales what the row has.
  void add_scores(int64_t r, T* s, int64_t count) {
    constexpr int W = kLanes<T>;
    Vec<T> largest = load(s);
    for (int64_t c = W; c < count; c += W) {
      const Vec<T> x = load(s + c);
      largest = x > largest ? x : largest;
    }
    T next = std::max(max_lanes<T>(largest), top[r]);
    if (next == kMinusInfinity<T>) {
      bool seen_nan = false;  // a NaN can be passed over above
      for (int64_t c = 0; c < count; ++c) seen_nan |= s[c] != s[c];
      if (!seen_nan) {
        std::fill(s, s + count, T(0));
        return;
      }
      next = std::numeric_limits<T>::quiet_NaN();
    }
    Vec<T> total{};
    for (int64_t c = 0; c < count; c += W) {
      const Vec<T> weight = exp_lanes(load(s + c) - next);
      store(s + c, weight);
      total += weight;
    }
    if (top[r] != next) {
      const T factor = exp_lanes(broadcast(top[r]) - next)[0];
      sum[r] *= factor;
      T* row = out + r * width;
      for (int64_t d = 0; d < width; d += W) store(row + d, load(row + d) * factor);
      top[r] = next;
    }
    sum[r] += sum_lanes<T>(total);
  }

  /// Writes o and lse of row r, which is row i of the sequence.
  void finish(const HeadView<T>& head, int64_t r, int64_t i) const {
    T* to = head.out + i * head.width;
    T& lse = head.lse[i * head.heads];
    if (top[r] == kMinusInfinity<T>) {
      std::fill(to, to + head.dim, T(0));
      lse = kMinusInfinity<T>;
      return;
    }
    lse = top[r] + std::log(sum[r]);
    const T inverse = T(1) / sum[r];
    const T* row = out + r * width;
    for (int64_t d = 0; d < head.dim; ++d) to[d] = row[d] * inverse;
  }
};

inline constexpr int64_t kFactorsAtOnce = 64;  // of dropout

/// Multiplies weights by the factors of dropout; columns is Consecutive or Listed.
template <class T, class Columns>
void drop_weights(const HeadView<T>& head, int64_t i, T* weights, int64_t count, Columns columns) {
  T factors[kFactorsAtOnce];
  for (int64_t c = 0; c < count; c += kFactorsAtOnce) {
    const int64_t here = std::min(kFactorsAtOnce, count - c);
    columns.factors(head.keep, i, c, here, factors);
    for (int64_t k = 0; k < here; ++k) weights[c + k] *= factors[k];
  }
}

/// What the backward pass accumulates for some rows of a sequence and the keys that they see; all
/// of stride padded(dim).
template <class T>
struct RowGradients {
  const T *q, *grad;     // scale q_i, and do_i
  const T *k, *v;        // copies for scattered edges, rows as in dk: in the head they lie apart
  const T *lse, *delta;  // lse +inf for empty rows; delta_i = <do_i, o_i>
  T *dq, *dk, *dv;       // dq without its factor scale
  T *dbias, *dgate;      // pointing at distance 0; null for none
  int64_t dgate_stride;  // from a row's dgate to the next one's; 0: all rows share one
  int64_t first, key_first;  // row of the sequence that row 0 is, and that dk's and dv's row 0 is
  int64_t width;

  T* dgate_of(int64_t i) const { return dgate + (i - first) * dgate_stride; }
};

/// w (f dp - delta), 0 where the weight is: <do_i, v_j> of what i does not see may overflow.
template <class V>
V slope(V weight, V difference) {
  return weight == V{} ? V{} : weight * difference;
}

/// Scores and <do_i, v_j> of row i to weights f a_ij (in s) and slopes dS_ij (in dp); adds to
/// dbias and dgate. columns is Consecutive or Listed; an entry is visible where its score is not
/// -inf.
template <class T, class Columns>
void weights_and_slopes(const HeadView<T>& head, const RowGradients<T>& rows, int64_t i, T* s,
                        T* dp, int64_t count, Columns columns) {
  constexpr int W = kLanes<T>;
  const T lse = rows.lse[i - rows.first], delta = rows.delta[i - rows.first];
  if (rows.dgate) clamp_closed(head.gate, i, lse, s, count, columns);
  if (lse == lse) {
    for (int64_t c = 0; c < count; c += W) store(s + c, exp_lanes(load(s + c) - lse));
  } else {  // what is not seen has no weight even so
    for (int64_t c = 0; c < count; ++c) s[c] = s[c] == kMinusInfinity<T> ? T(0) : lse;
  }
  if (head.keep.drops()) {
    T factors[kFactorsAtOnce];
    for (int64_t c = 0; c < count; c += kFactorsAtOnce) {
      const int64_t here = std::min(kFactorsAtOnce, count - c);
      columns.factors(head.keep, i, c, here, factors);
      for (int64_t k = 0; k < here; ++k) {
        dp[c + k] = slope(s[c + k], factors[k] * dp[c + k] - delta);
        s[c + k] *= factors[k];
      }
    }
  } else {
    for (int64_t c = 0; c < count; c += W) store(dp + c, slope(load(s + c), load(dp + c) - delta));
  }
  if (rows.dgate) gate_slopes(head.gate, i, s, dp, count, columns, rows.dgate_of(i));
  if (!rows.dbias) return;
  for (int64_t c = 0; c < count; ++c) {
    const int64_t distance = columns(c) - i;
    if (std::abs(distance) <= head.reach) rows.dbias[distance] += dp[c];
  }
}

}  // namespace filigree::kernels
