#include "tasks/training/forecast.h"

#include <fmt/format.h>

#include "core/allocator.h"

namespace filigree {

std::string MemoryForecast::describe() const {
  return fmt::format("parameters {}, gradients {}, optimizer {}, activations {}, in all {}",
                     human_bytes(parameters), human_bytes(gradients), human_bytes(optimizer),
                     human_bytes(activations), human_bytes(total()));
}

MemoryForecast forecast_memory(const EncoderConfig& config, int64_t parameter_count,
                               int64_t learning, int64_t tokens, int moments,
                               int64_t bytes_per_number, bool recompute) {
  const int64_t layer = 10 * config.width + 2 * config.ffn + config.heads;
  const int64_t kept = recompute ? config.layers * config.width + layer : config.layers * layer;
  MemoryForecast forecast;
  forecast.parameters = parameter_count * bytes_per_number;
  forecast.gradients = learning * bytes_per_number;
  forecast.optimizer = forecast.gradients * moments;
  forecast.activations = tokens * (kept + 3 * config.width) * bytes_per_number;
  return forecast;
}

}  // namespace filigree
