// Softmax cross-entropy.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// Of N rows of C logits: losses (N) = -sum_c q_c log softmax(x)_c with q = (1-s) onehot(label) +
/// s/C (s = smoothing); 0 where label (i32) == ignore. probabilities (N, C) = softmax, for
/// backward.
FILIGREE_KERNEL(cross_entropy_forward,
                (const Tensor& x, const Tensor& labels, int32_t ignore, double smoothing,
                 Tensor& losses, Tensor& probabilities),
                (x, labels, ignore, smoothing, losses, probabilities))
/// dx = factor dloss (softmax - q), dloss a scalar tensor; 0 in ignored rows.
FILIGREE_KERNEL(cross_entropy_backward,
                (const Tensor& probabilities, const Tensor& labels, int32_t ignore,
                 double smoothing, double factor, const Tensor& dloss, Tensor& dx),
                (probabilities, labels, ignore, smoothing, factor, dloss, dx))

}  // namespace filigree::kernels
