// Memory forecast of training, before the first step.
#pragma once

#include <cstdint>
#include <string>

#include "nn/encoder_config.h"

namespace filigree {

/// Bytes that training will hold at its peak.
struct MemoryForecast {
  int64_t parameters = 0, gradients = 0, optimizer = 0, activations = 0;
  int64_t total() const { return parameters + gradients + optimizer + activations; }
  /// "parameters 1.2 MiB, gradients ..., in all ...".
  std::string describe() const;
};

/// `parameter_count` of the model, `learning` of them with a gradient, `tokens` of the largest
/// batch, `moments` of the optimizer a parameter. Activations: what one layer keeps for its
/// backward pass is about (10 E + 2 F + H) numbers a token (queries, keys, values, attention and
/// projections, two norms, residuals, feed-forward before and after its activation, log-sum-exp), 3
/// E more for the embeddings; with `recompute` 1 E a layer and one whole layer.
MemoryForecast forecast_memory(const EncoderConfig& config, int64_t parameter_count,
                               int64_t learning, int64_t tokens, int moments,
                               int64_t bytes_per_number, bool recompute);

}  // namespace filigree
