// Softmax and log-softmax over the last dimension, with and without a mask.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y_j = e^{x_j - max} / sum over each row of N = last size.
FILIGREE_KERNEL(softmax_forward, (const Tensor& x, Tensor& y), (x, y))
/// dx = y (dy - <dy, y>).
FILIGREE_KERNEL(softmax_backward, (const Tensor& y, const Tensor& dy, Tensor& dx), (y, dy, dx))
/// y_j = x_j - log sum_k e^{x_k}.
FILIGREE_KERNEL(log_softmax_forward, (const Tensor& x, Tensor& y), (x, y))
/// dx = dy - e^y sum(dy).
FILIGREE_KERNEL(log_softmax_backward, (const Tensor& y, const Tensor& dy, Tensor& dx), (y, dy, dx))
/// Softmax over the entries with mask (u8, shape of x) != 0; 0 elsewhere, all 0 where a row has
/// none. What stands at masked entries, NaN and Inf included, is never read into a result.
FILIGREE_KERNEL(masked_softmax_forward, (const Tensor& x, const Tensor& mask, Tensor& y),
                (x, mask, y))

}  // namespace filigree::kernels
