#include "nn/degrees/degree_learner.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "autograd/function.h"
#include "autograd/ops/shape.h"
#include "core/error.h"

namespace filigree {

int64_t DegreeShape::rows() const {
  if (config.share == "model") return 1;
  return config.share == "layer" ? layers : layers * heads;
}

Variable DegreeLearner::gate(int layer, const ForwardContext& context) const {
  return of_heads(
      layer, [&](int64_t first, int64_t count) { return gates(first, count, layer, context); });
}

LayerDegrees DegreeLearner::layer(int layer, std::shared_ptr<const AlwaysOn> always,
                                  const ForwardContext& context) const {
  if (!shape_.config.draws) return {{gate(layer, context), std::move(always)}, {}};
  std::optional<IrregularDegrees> ensemble;
  const Variable logits = of_heads(layer, [&](int64_t first, int64_t count) {
    ensemble = distribution(first, count);
    return ensemble->logits;
  });
  ensemble->logits = logits;
  ensemble->tau = context.draw_temperature;
  ensemble->grad_margin = shape_.config.reach;  // the exact slopes
  ensemble->always = std::move(always);
  return {{}, std::move(ensemble)};
}

std::vector<LayerDegrees> DegreeLearner::layers(std::shared_ptr<const AlwaysOn> always,
                                                const ForwardContext& context,
                                                Device device) const {
  std::vector<LayerDegrees> all;
  for (int l = 0; l < shape_.layers; ++l) {
    const ModuleScope scope(fmt::format("layers.{}", l));
    all.push_back(layer(l, always, context));
  }
  if (device.is_cpu()) return all;
  const auto shared = std::make_shared<SharedDrawnTiles>();
  Variables parts;
  for (LayerDegrees& each : all) {
    if (each.ensemble) each.ensemble->shared = shared;
    parts.push_back(each.parameter());
  }
  const Variable there = to_device(concat_rows(parts), device);  // (L H, ..)
  for (size_t l = 0; l < all.size(); ++l) {
    all[l].parameter() = slice_rows(there, static_cast<int64_t>(l) * shape_.heads, shape_.heads);
  }
  return all;
}

Variable DegreeLearner::open(int layer) const {
  return of_heads(layer, [&](int64_t first, int64_t count) { return open_gates(first, count); });
}

Variable DegreeLearner::of_heads(
    int layer, const std::function<Variable(int64_t first, int64_t count)>& rows) const {
  if (shape_.config.share == "head") return rows(layer * shape_.heads, shape_.heads);
  const Variable one = rows(shape_.config.share == "layer" ? layer : 0, 1);
  return concat_rows(Variables(static_cast<size_t>(shape_.heads), one));
}

std::vector<std::vector<double>> DegreeLearner::tails() const {
  const NoGrad no_grad;
  std::vector<std::vector<double>> tails;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const Tensor g = gate(layer, {}).value();  // (H, R+1)
    for (int64_t h = 0; h < g.size(0); ++h) {
      std::vector<double>& tail = tails.emplace_back();
      for (int64_t d = 0; d < g.size(1); ++d) tail.push_back(g.at(h * g.size(1) + d));
    }
  }
  return tails;
}

std::span<const DegreeLearnerKind> degree_learners() {
  static const std::array kinds{softmax_degrees(), adaptive_span(), free_offsets(), head_gates()};
  return kinds;
}

namespace {

void expect_one_of(std::string_view where, const std::string& value,
                   const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), value) != names.end()) return;
  const std::string near = nearest_name(value, names);
  throw ConfigError(where,
                    fmt::format("expected one of {}, got \"{}\"", fmt::join(names, ", "), value),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace

void expect_sound(const DegreeConfig& config) {
  std::vector<std::string> names;
  for (const DegreeLearnerKind& kind : degree_learners()) names.emplace_back(kind.name);
  expect_one_of("degrees.learner", config.learner, names);
  expect_one_of("degrees.share", config.share, {"head", "layer", "model"});
  expect_one_of("degrees.start", config.start, {"dense", "local", "uniform"});
  const auto kind = std::find_if(degree_learners().begin(), degree_learners().end(),
                                 [&](const auto& each) { return each.name == config.learner; });
  if (config.draws && !kind->draws) {
    throw ConfigError("degrees.draws",
                      fmt::format("{} has no distribution to draw reaches from", config.learner),
                      "draw with the learner degrees");
  }
  constexpr int64_t kMost = int64_t{1} << 24;  // gates and offsets are tables of so many entries
  if (config.reach < 1 || config.reach > kMost) {
    throw ConfigError("degrees.reach",
                      fmt::format("expected 1 to {}, got {}", kMost, config.reach));
  }
}

std::unique_ptr<DegreeLearner> make_degree_learner(const DegreeShape& shape, DType dtype) {
  expect_sound(shape.config);
  for (const DegreeLearnerKind& kind : degree_learners()) {
    if (kind.name == shape.config.learner) return kind.make(shape, dtype);
  }
  throw ConfigError("degrees.learner", "unknown");  // expect_sound() throws before
}

}  // namespace filigree
