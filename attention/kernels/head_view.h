// What the CPU attention kernels share: pointers of one head. Private to kernels.
#pragma once

#include <cmath>

#include "attention/kernels/gate.h"
#include "attention/kernels/keep_bits.h"
#include "attention/kernels/sparse_attention.h"

namespace filigree::kernels {

/// One head of one sequence. Row i of q, counted from the sequence's first token, stands at
/// q + i * stride, of o at o + i * width.
template <class T>
struct HeadView {
  const T *q, *k, *v;
  const T* bias;      // bias + R + (j - i); null for none
  const T *o, *grad;  // backward only
  T *dq, *dk, *dv;    // backward only
  T* out;             // forward only
  T* lse;             // (n, H): lse[i * heads]
  int64_t stride, width, heads, dim;
  T scale;
  int64_t reach;
  KeepBits keep;     // of dropout
  GateView<T> gate;  // its log is the pass's own

  /// Scores get something by their columns.
  bool adds() const { return bias || gate.on(); }
};

template <class T>
T bias_of(const HeadView<T>& head, int64_t i, int64_t j) {
  const int64_t distance = j - i;
  return head.bias && distance >= -head.reach && distance <= head.reach ? head.bias[distance]
                                                                        : T(0);
}

}  // namespace filigree::kernels
