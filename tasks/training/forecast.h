// Memory forecast of training, before the first step.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "nn/encoder_config.h"

namespace filigree {

/// Bytes that training will hold at its peak.
struct MemoryForecast {
  int64_t parameters = 0, gradients = 0, optimizer = 0, activations = 0;
  int64_t total() const { return parameters + gradients + optimizer + activations; }
  /// "parameters 1.2 MiB, gradients ..., in all ...".
  std::string describe() const;
};

/// What is trained, and how.
struct TrainedShape {
  int64_t parameters = 0, learning = 0;            ///< of the model, and those with a gradient
  int64_t tokens = 0;                              ///< of the largest batch
  int moments = 2;                                 ///< of the optimizer, a parameter
  DType dtype = DType::f32, compute = DType::f32;  ///< of parameters, and of activations
  int64_t rounded = 0;  ///< parameters with a copy in `compute`, where that is another dtype
  bool recompute = false;
};

/// Activations: what one layer keeps for its backward pass is about (10 E + 2 F + H) numbers a
/// token (queries, keys, values, attention and projections, two norms, residuals, feed-forward
/// before and after its activation, log-sum-exp), 3 E more for the embeddings, in the dtype of
/// parameters; with `recompute` 1 E a layer and one whole layer. Where few tokens are wanted of the
/// last layer (TokenBatch::wanted) it keeps up to 6 E + 2 F numbers a token less, which is not
/// taken off here.
MemoryForecast forecast_memory(const EncoderConfig& config, const TrainedShape& trained);

}  // namespace filigree
