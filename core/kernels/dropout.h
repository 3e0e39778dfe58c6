// Dropout with a keyed mask that is never stored.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree {

/// Dropout as a part of another kernel; none where p is 0. See kernels::dropout.
struct KeyedDropout {
  double p = 0;
  uint64_t key = 0;
};

}  // namespace filigree

namespace filigree::kernels {

/// y_i = x_i / (1 - p) where uniform(key, i) >= p, else 0. The mask is a pure function of key and i
/// (Philox, four numbers a counter), so that the backward pass is the same call on dy.
FILIGREE_KERNEL(dropout, (const Tensor& x, double p, uint64_t key, Tensor& y), (x, p, key, y))

}  // namespace filigree::kernels
