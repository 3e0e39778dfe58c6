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

}  // namespace filigree::kernels
