#include "tasks/training/forecast.h"

#include <fmt/format.h>

#include "core/allocator.h"

namespace filigree {

std::string MemoryForecast::describe() const {
  return fmt::format("parameters {}, gradients {}, optimizer {}, activations {}, in all {}",
                     human_bytes(parameters), human_bytes(gradients), human_bytes(optimizer),
                     human_bytes(activations), human_bytes(total()));
}

MemoryForecast forecast_memory(const EncoderConfig& config, const TrainedShape& trained) {
  const int64_t E = config.width, F = config.ffn;
  const int64_t layer = 10 * E + 2 * F + config.heads;
  const int64_t kept = trained.recompute ? config.layers * E + layer : config.layers * layer;
  const int64_t number = size_of(trained.dtype), activation = size_of(trained.compute);
  MemoryForecast forecast;
  forecast.parameters = trained.parameters * number;
  if (trained.compute != trained.dtype) forecast.parameters += trained.rounded * activation;
  forecast.gradients = trained.learning * number;
  forecast.optimizer = forecast.gradients * trained.moments;
  forecast.activations = trained.tokens * (kept * activation + 3 * E * number);
  return forecast;
}

}  // namespace filigree
