// Softmax cross-entropy behind a linear map, in chunks of classes.
#pragma once

#include "autograd/variable.h"

namespace filigree {

struct ChunkedCrossEntropyOptions {
  int32_t ignore = -1;  ///< rows with this label count for nothing, and cost nothing
  bool mean = false;    ///< divide by the number of rows that count
  int64_t chunk = 0;    ///< classes at a time; 0: as many as 64 MiB of f32 logits take
};

/// Sum (or mean) over rows of -log softmax(h W^T + b)_label: a scalar. h (T, E), weight (V, E),
/// bias (V) or undefined, labels i32 (T). Equals cross_entropy(linear(h, weight, bias), labels),
/// but holds the logits of one chunk of classes at a time: forward keeps the running maximum and
/// sum of every row (Milakov and Gimelshein, arXiv 1805.02867), backward computes each chunk again.
/// On CUDA h may be bf16: products of bf16, logits and loss in f32. Weight and bias are then bf16
/// or f32; an f32 weight is rounded to multiply with, or given so as `rounded`, and gradients of
/// f32 ones are not rounded.
/// Rows without a label are left out of all products. With R rows that count: cost 8 R V E (the
/// unchunked 6 R V E), memory R E + V E + R x chunk. Throws ShapeError; ConfigError for a chunk
/// below 0; DataError naming a label outside [0, V).
Variable chunked_cross_entropy(const Variable& h, const Variable& weight, const Variable& bias,
                               const Tensor& labels, const ChunkedCrossEntropyOptions& options = {},
                               const Tensor& rounded = {});

}  // namespace filigree
