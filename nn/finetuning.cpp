#include "nn/finetuning.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

namespace {

constexpr std::string_view kEmbeddings = "encoder.embeddings.", kLayers = "encoder.layers.";

/// The number of the layer that a parameter is in, -1 if it is in none.
int64_t layer_of(std::string_view name) {
  if (!name.starts_with(kLayers)) return -1;
  int64_t layer = -1;
  std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer);
  return layer;
}

}  // namespace

double layer_rate(std::string_view name, int64_t layers, double decay) {
  if (name.starts_with(kEmbeddings)) return std::pow(decay, static_cast<double>(layers + 1));
  const int64_t layer = layer_of(name);
  return layer < 0 ? 1 : std::pow(decay, static_cast<double>(layers - layer));
}

Freeze Freeze::parse(const std::string& text) {
  Freeze freeze;
  if (text.empty() || text == "none") return freeze;
  freeze.embeddings = true;
  if (text == "embeddings") return freeze;
  if (text == "encoder") {
    freeze.encoder = true;
    return freeze;
  }
  constexpr std::string_view kFirst = "first:";
  const char* end = text.data() + text.size();
  if (text.starts_with(kFirst)) {
    const auto read = std::from_chars(text.data() + kFirst.size(), end, freeze.layers);
    if (read.ec == std::errc() && read.ptr == end && freeze.layers > 0) return freeze;
  }
  throw ConfigError("train.freeze",
                    fmt::format("expected none, embeddings, first:k or encoder, got \"{}\"", text),
                    "first:2 freezes the embeddings and the first two layers");
}

bool Freeze::holds(std::string_view name) const {
  if (is_degree_parameter(name)) return false;
  if (encoder && is_encoder_parameter(name)) return true;
  if (name.starts_with(kEmbeddings)) return embeddings;
  const int64_t layer = layer_of(name);
  return layer >= 0 && layer < layers;
}

NamedParameters freeze(Model& model, const Freeze& what, std::span<const std::string> drawn) {
  if (what.layers > model.encoder().config().layers) {
    throw ConfigError("train.freeze", fmt::format("expected at most {} layers, got {}",
                                                  model.encoder().config().layers, what.layers));
  }
  NamedParameters learning;
  for (NamedParameter& parameter : model.named_parameters()) {
    const bool is_new = std::find(drawn.begin(), drawn.end(), parameter.name) != drawn.end();
    if (what.holds(parameter.name) && !is_new) {
      parameter.value.set_requires_grad(false);
    } else {
      learning.push_back(parameter);
    }
  }
  return learning;
}

}  // namespace filigree
