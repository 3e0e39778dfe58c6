// The soft gate of attention weights by distance. Private to kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "attention/kernels/keep_bits.h"
#include "core/tensor.h"

namespace filigree::kernels {

/// The gate of one head in one sequence: m_ij = g(|j - i|), 0 beyond `reach`, and 1 for i = j and
/// in the rows and columns of `always`. A distance with g = 0 is closed: nothing passes, but
/// g may grow again, so the backward pass computes its scores. An irregular gate is the graph
/// itself in the forward pass; in the backward pass what lies beyond a token's own reach is closed.
template <class T>
struct GateView {
  const T* log = nullptr;           // what is added to scores, at distance d; null for nothing
  const uint8_t* closed = nullptr;  // at distance |d|; null where none is, and in the forward pass
  const int32_t* own = nullptr;     // reach of every token of an irregular gate, backward
  bool shut = false;                // some log is -inf: forward, where a distance is closed
  int64_t reach = 0;
  std::span<const int32_t> always = {};  // ascending

  bool on() const { return log || own; }
  bool closes() const { return closed || own; }
  bool is_closed(int64_t i, int64_t j) const {
    const int64_t distance = std::abs(j - i);
    return own ? distance > own[i] : closed[distance] != 0;
  }
  bool whole_row(int64_t i) const { return std::binary_search(always.begin(), always.end(), i); }
};

/// What the views of one pass point at. A distance is closed if g is no normal number.
template <class T>
class GateTables {
 public:
  /// gate (H, R+1) or undefined. The forward pass adds -inf to closed scores; the backward pass
  /// leaves these as they are, so that slopes reach them.
  GateTables(const Tensor& gate, bool backward) {
    if (!gate.defined()) return;
    reach_ = gate.size(1) - 1;
    const int64_t heads = gate.size(0), span = 2 * reach_ + 1;
    log_.assign(static_cast<size_t>(heads * span), T(0));
    if (backward) closed_.assign(static_cast<size_t>(gate.numel()), 0);
    any_.assign(static_cast<size_t>(heads), 0);
    for (int64_t h = 0; h < heads; ++h) {
      const T* g = gate.data<T>() + h * (reach_ + 1);
      T* log = log_.data() + h * span + reach_;
      for (int64_t d = 1; d <= reach_; ++d) {
        const bool closed = g[d] < std::numeric_limits<T>::min();
        if (!closed) log[d] = log[-d] = std::log(g[d]);
        if (closed && !backward) log[d] = log[-d] = -std::numeric_limits<T>::infinity();
        if (!closed) continue;
        any_[static_cast<size_t>(h)] = 1;
        if (backward) closed_[static_cast<size_t>(h * (reach_ + 1) + d)] = 1;
      }
    }
  }

  GateView<T> view(int h, std::span<const int32_t> always) const {
    if (reach_ < 0) return {};
    const bool any = any_[static_cast<size_t>(h)] != 0, backward = !closed_.empty();
    GateView<T> gate;
    gate.log = log_.data() + h * (2 * reach_ + 1) + reach_;
    gate.closed = any && backward ? closed_of(h) : nullptr;
    gate.shut = any && !backward;
    gate.reach = reach_;
    gate.always = always;
    return gate;
  }
  /// By distance, from 0 on.
  const uint8_t* closed_of(int h) const { return closed_.data() + h * (reach_ + 1); }

 private:
  int64_t reach_ = -1;
  std::vector<T> log_;           // (H, 2R+1)
  std::vector<uint8_t> closed_;  // (H, R+1), backward
  std::vector<uint8_t> any_;     // (H): some distance is closed
};

/// Of `count` columns of row i those that are gated, as stretches: inside(begin, end) within the
/// reach, outside(begin, end) beyond it. Columns of a stretch follow one another.
template <class T, class Inside, class Outside>
void for_gated(const GateView<T>& gate, int64_t i, int64_t count, Consecutive columns,
               Inside inside, Outside outside) {
  if (gate.whole_row(i)) return;
  const int64_t first = columns.first, last = first + count;
  auto next = std::lower_bound(gate.always.begin(), gate.always.end(), first);
  for (int64_t from = first; from < last; ++next) {
    const int64_t to = next == gate.always.end() ? last : std::min<int64_t>(last, *next);
    const int64_t near = std::clamp(i - gate.reach, from, to);
    const int64_t far = std::clamp(i + gate.reach + 1, near, to);
    if (from < near) outside(from - first, near - first);
    if (near < far) inside(near - first, far - first);
    if (far < to) outside(far - first, to - first);
    if (to == last) return;
    from = to + 1;
  }
}
template <class T, class Inside, class Outside>
void for_gated(const GateView<T>& gate, int64_t i, int64_t count, Listed columns, Inside inside,
               Outside outside) {
  if (gate.whole_row(i)) return;
  auto next = gate.always.begin();
  for (int64_t c = 0; c < count; ++c) {  // ascending, but for what pads the row: the row itself
    const int64_t j = columns(c);
    while (next != gate.always.end() && *next < j) ++next;
    if (next != gate.always.end() && *next == j) continue;
    if (std::abs(j - i) <= gate.reach) {
      inside(c, c + 1);
    } else {
      outside(c, c + 1);
    }
  }
}

/// Adds log m_ij to scores of row i.
template <class T, class Columns>
void add_gate(const GateView<T>& gate, int64_t i, T* s, int64_t count, Columns columns) {
  if (!gate.log) return;
  for_gated(
      gate, i, count, columns,
      [&](int64_t c, int64_t end) {
        const T* __restrict log = gate.log + (columns(c) - i);
        T* __restrict scores = s + c;
        if (!gate.shut) {
          for (int64_t k = 0; k < end - c; ++k) scores[k] += log[k];
          return;
        }
        for (int64_t k = 0; k < end - c; ++k) {  // a score that overflows is closed, too
          const T sum = scores[k] + log[k];
          scores[k] = log[k] < std::numeric_limits<T>::lowest() ? log[k] : sum;
        }
      },
      [&](int64_t c, int64_t end) {
        std::fill(s + c, s + end, -std::numeric_limits<T>::infinity());
      });
}

/// Largest s_ij - lse_i of a closed edge: u_ij = e^{s - lse} may be of any size there.
inline constexpr int kClosedExponent = 30;

template <class T, class Columns>
void clamp_closed(const GateView<T>& gate, int64_t i, T lse, T* s, int64_t count, Columns columns) {
  if (!gate.closes()) return;
  for_gated(
      gate, i, count, columns,
      [&](int64_t c, int64_t end) {
        for (; c < end; ++c) {
          if (gate.is_closed(i, columns(c))) s[c] = std::min(s[c], lse + kClosedExponent);
        }
      },
      [](int64_t, int64_t) {});
}

/// Adds the slopes in dp to dgate, at their distance: dL/dg(d) of closed distances, g(d) dL/dg(d)
/// of open ones; then closes what is closed, in weights and slopes.
template <class T, class Columns>
void gate_slopes(const GateView<T>& gate, int64_t i, T* weights, T* dp, int64_t count,
                 Columns columns, T* dgate) {
  for_gated(
      gate, i, count, columns,
      [&](int64_t begin, int64_t end) {
        T* __restrict sums = dgate + (columns(begin) - i);
        const T* __restrict slopes = dp + begin;
        for (int64_t k = 0; k < end - begin; ++k) sums[k] += slopes[k];
        for (int64_t c = begin; gate.closes() && c < end; ++c) {
          if (gate.is_closed(i, columns(c))) weights[c] = dp[c] = 0;
        }
      },
      [](int64_t, int64_t) {});
}

}  // namespace filigree::kernels
