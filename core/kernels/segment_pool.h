// Pooling of packed sequences: one row a sequence.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree {

/// The first token of a sequence ([CLS]), or the mean of all.
enum class Pool : uint8_t { first, mean };

}  // namespace filigree

namespace filigree::kernels {

/// y (B, E) from x (T, E), sequence b being rows offsets_b .. offsets_{b+1} - 1 (i64, B+1). An
/// empty sequence gives 0.
FILIGREE_KERNEL(segment_pool_forward,
                (const Tensor& x, const Tensor& offsets, Pool pool, Tensor& y),
                (x, offsets, pool, y))
/// dx (T, E) from dy (B, E); rows outside every sequence get 0.
FILIGREE_KERNEL(segment_pool_backward,
                (const Tensor& dy, const Tensor& offsets, Pool pool, Tensor& dx),
                (dy, offsets, pool, dx))

}  // namespace filigree::kernels
