// Cross-entropy over the rows of packed sequences: which token of its sequence is it?
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// For every column c and every sequence b, its rows being offsets_b .. offsets_{b+1} - 1 (i64,
/// B+1): p = softmax of x (T, C) over these rows; losses (B, C) = -log p of row
/// offsets_b + targets_bc (i32). A sequence with a target of -1 counts for nothing there: loss 0.
/// Rows outside every sequence get p = 0.
FILIGREE_KERNEL(segment_cross_entropy_forward,
                (const Tensor& x, const Tensor& offsets, const Tensor& targets, Tensor& losses,
                 Tensor& probabilities),
                (x, offsets, targets, losses, probabilities))
/// dx (T, C) = dloss (p - 1 at the target), dloss a scalar tensor; 0 where the target is -1.
FILIGREE_KERNEL(segment_cross_entropy_backward,
                (const Tensor& probabilities, const Tensor& offsets, const Tensor& targets,
                 const Tensor& dloss, Tensor& dx),
                (probabilities, offsets, targets, dloss, dx))

}  // namespace filigree::kernels
