// Cross-entropy of logits that come in chunks of classes: what happens to one chunk.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// Takes classes first .. first+C-1 into the running softmax statistics of N rows. With
/// z = x (N, C) + bias (C), all f32 or f64:
///   top (N) becomes max(top, max_c z), sum (N) becomes sum e^{top before - top} + sum_c e^{z -
///   top}, target (N) becomes z at labels (i32, N) where the chunk holds the label.
/// Start: top -Inf, sum 0; while top is -Inf, exponents are measured from 0, not from it. After all
/// chunks log sum_c e^{z_c} = top + log sum (Milakov and Gimelshein, arXiv 1805.02867).
FILIGREE_KERNEL(add_chunk_to_softmax,
                (const Tensor& x, const Tensor& bias, const Tensor& labels, int64_t first,
                 Tensor& top, Tensor& sum, Tensor& target),
                (x, bias, labels, first, top, sum, target))
/// Gradient of logits x (N, C): dx = factor dloss (e^{x + bias - log_sum} - onehot(label)), with
/// log_sum (N), dloss a scalar tensor; dx (N, C) in the dtype of x or, on CUDA, bf16. dx may be x.
FILIGREE_KERNEL(chunk_softmax_gradient,
                (const Tensor& x, const Tensor& bias, const Tensor& labels, const Tensor& log_sum,
                 int64_t first, double factor, const Tensor& dloss, Tensor& dx),
                (x, bias, labels, log_sum, first, factor, dloss, dx))

}  // namespace filigree::kernels
