#include "nn/encoder_config.h"

#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/degrees/degree_learner.h"

namespace filigree {

namespace {

constexpr std::array kActivations{"gelu", "gelu_tanh", "relu", "tanh"};  // in order of Activation

}  // namespace

EncoderConfig EncoderConfig::bert(int64_t vocabulary) {
  EncoderConfig config;
  config.vocabulary = vocabulary;
  config.width = 768;
  config.layers = config.heads = 12;
  config.ffn = 3072;
  config.segments = 2;
  return config;
}

EncoderConfig EncoderConfig::roberta(int64_t vocabulary) {
  EncoderConfig config = bert(vocabulary);
  config.segments = 1;
  config.position_offset = 2;
  config.max_positions = 514;
  config.norm_eps = 1e-5;
  return config;
}

void EncoderConfig::validate() const {
  const auto require = [](bool fine, std::string_view name, std::string_view what) {
    if (!fine) throw ConfigError(fmt::format("model.{}", name), what);
  };
  require(vocabulary > 0, "vocabulary", "expected at least one token");
  require(width > 0, "width", "expected at least 1");
  require(layers >= 0, "layers", "expected 0 or more");
  require(heads > 0 && width % heads == 0, "heads",
          fmt::format("expected a divisor of the width {}, got {}", width, heads));
  require(ffn > 0, "ffn", "expected at least 1");
  require(max_positions >= 0, "positions", "expected 0 or more");
  require(position_offset >= 0 && (max_positions == 0 || position_offset < max_positions),
          "position_offset",
          fmt::format("expected 0 or more and below the {} positions, got {}", max_positions,
                      position_offset));
  require(segments >= 0, "segments", "expected 0 or more");
  require(relative_bias >= 0, "relative_bias", "expected 0 or more");
  require(dropout >= 0 && dropout < 1, "dropout", "expected a probability below 1");
  require(attention_dropout >= 0 && attention_dropout < 1, "attention_dropout",
          "expected a probability below 1");
  require(norm_eps > 0, "norm_eps", "expected a positive number");
  require(init_std > 0, "init_std", "expected a positive number");
  if (degrees.learned()) expect_sound(degrees);
}

std::string EncoderConfig::to_json() const {
  nlohmann::json json{{"vocabulary", vocabulary},
                      {"width", width},
                      {"layers", layers},
                      {"heads", heads},
                      {"ffn", ffn},
                      {"max_positions", max_positions},
                      {"position_offset", position_offset},
                      {"segments", segments},
                      {"relative_bias", relative_bias},
                      {"dropout", dropout},
                      {"attention_dropout", attention_dropout},
                      {"norm_eps", norm_eps},
                      {"init_std", init_std},
                      {"activation", kActivations[static_cast<size_t>(activation)]},
                      {"norm", norm == NormPlacement::post ? "post" : "pre"}};
  if (degrees.learned()) {
    json["degrees"] = {{"learner", degrees.learner}, {"reach", degrees.reach},
                       {"share", degrees.share},     {"start", degrees.start},
                       {"globals", degrees.globals}, {"draws", degrees.draws}};
  }
  return json.dump(2);
}

EncoderConfig EncoderConfig::from_json(const std::string& text) {
  EncoderConfig config;
  try {
    const auto json = nlohmann::json::parse(text);
    json.at("vocabulary").get_to(config.vocabulary);
    json.at("width").get_to(config.width);
    json.at("layers").get_to(config.layers);
    json.at("heads").get_to(config.heads);
    json.at("ffn").get_to(config.ffn);
    json.at("max_positions").get_to(config.max_positions);
    json.at("position_offset").get_to(config.position_offset);
    json.at("segments").get_to(config.segments);
    json.at("relative_bias").get_to(config.relative_bias);
    json.at("dropout").get_to(config.dropout);
    json.at("attention_dropout").get_to(config.attention_dropout);
    json.at("norm_eps").get_to(config.norm_eps);
    json.at("init_std").get_to(config.init_std);
    const auto name = json.at("activation").get<std::string>();
    size_t at = 0;
    while (at < kActivations.size() && name != kActivations[at]) ++at;
    if (at == kActivations.size()) throw CheckpointError("model", "unknown activation " + name);
    config.activation = static_cast<Activation>(at);
    const auto norm = json.at("norm").get<std::string>();
    if (norm != "post" && norm != "pre") throw CheckpointError("model", "unknown norm " + norm);
    config.norm = norm == "post" ? NormPlacement::post : NormPlacement::pre;
    if (json.contains("degrees")) {
      const auto& degrees = json["degrees"];
      degrees.at("learner").get_to(config.degrees.learner);
      degrees.at("reach").get_to(config.degrees.reach);
      degrees.at("share").get_to(config.degrees.share);
      degrees.at("start").get_to(config.degrees.start);
      degrees.at("globals").get_to(config.degrees.globals);
      degrees.at("draws").get_to(config.degrees.draws);
    }
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError("model configuration", error.what());
  }
  try {
    config.validate();
  } catch (const ConfigError& error) {
    throw CheckpointError("model configuration", error.what());
  }
  return config;
}

}  // namespace filigree
