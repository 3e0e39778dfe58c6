// Embedding: gather rows of a table; its gradient scatter-adds them.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y (T, E): row ids_t of weight (V, E). ids i32 (T), 0 <= id < V (checked by the op).
FILIGREE_KERNEL(embedding_forward, (const Tensor& weight, const Tensor& ids, Tensor& y),
                (weight, ids, y))
/// dweight (V, E) = for every id the sum of its rows of dy, in order of t; other rows 0.
FILIGREE_KERNEL(embedding_backward, (const Tensor& dy, const Tensor& ids, Tensor& dweight),
                (dy, ids, dweight))
/// y (V, E) = x (T, E) at the rows ids (i32, T), of which no two are the same, 0 at all others:
/// embedding_backward() without sums, and so without sorting ids on a device.
FILIGREE_KERNEL(scatter_rows, (const Tensor& x, const Tensor& ids, Tensor& y), (x, ids, y))

}  // namespace filigree::kernels
