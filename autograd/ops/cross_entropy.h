// Softmax cross-entropy loss.
#pragma once

#include "autograd/variable.h"

namespace filigree {

struct CrossEntropyOptions {
  int32_t ignore = -1;   ///< rows with this label count for nothing
  double smoothing = 0;  ///< label smoothing s: target (1-s) onehot + s / C
  bool mean = false;     ///< divide by the number of rows that count
};

/// sum (or mean) over rows of -log softmax(logits)_label: a scalar. logits (N, C), labels i32 (N).
/// Equals composites of log_softmax. Throws DataError naming a label outside [0, C).
Variable cross_entropy(const Variable& logits, const Tensor& labels,
                       const CrossEntropyOptions& options = {});

}  // namespace filigree
