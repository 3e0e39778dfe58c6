// Parameter names, state dicts, initialisation.
#include "nn/module.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "nn/classifier.h"
#include "tests/nn/small_model.h"

namespace filigree {
namespace {

using namespace testing_nn;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> names_of(const Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, parameter, kind] : module.named_parameters()) names.push_back(name);
  return names;
}

EncoderConfig one_layer() {
  EncoderConfig config = small_config();
  config.layers = 1;
  return config;
}

TEST(ParameterNames, OfAPostNormClassifierWithEverything) {
  EncoderConfig config = one_layer();
  config.segments = 2;
  config.relative_bias = 3;
  EXPECT_THAT(
      names_of(SequenceClassifier(config, 2, Pool::first)),
      ElementsAre(
          "encoder.embeddings.token.weight", "encoder.embeddings.position.weight",
          "encoder.embeddings.segment.weight", "encoder.embeddings.norm.weight",
          "encoder.embeddings.norm.bias", "encoder.layers.0.attention.relative_bias",
          "encoder.layers.0.attention.query_key_value.weight",
          "encoder.layers.0.attention.query_key_value.bias",
          "encoder.layers.0.attention.output.weight", "encoder.layers.0.attention.output.bias",
          "encoder.layers.0.attention_norm.weight", "encoder.layers.0.attention_norm.bias",
          "encoder.layers.0.feed_forward.input.weight", "encoder.layers.0.feed_forward.input.bias",
          "encoder.layers.0.feed_forward.output.weight",
          "encoder.layers.0.feed_forward.output.bias", "encoder.layers.0.feed_forward_norm.weight",
          "encoder.layers.0.feed_forward_norm.bias", "pooler.weight", "pooler.bias",
          "classifier.weight", "classifier.bias"));
}

TEST(ParameterNames, OfABarePreNormEncoder) {
  EncoderConfig config = one_layer();
  config.max_positions = 0;
  config.norm = NormPlacement::pre;
  EXPECT_THAT(
      names_of(Encoder(config)),
      ElementsAre("embeddings.token.weight", "layers.0.attention.query_key_value.weight",
                  "layers.0.attention.query_key_value.bias", "layers.0.attention.output.weight",
                  "layers.0.attention.output.bias", "layers.0.attention_norm.weight",
                  "layers.0.attention_norm.bias", "layers.0.feed_forward.input.weight",
                  "layers.0.feed_forward.input.bias", "layers.0.feed_forward.output.weight",
                  "layers.0.feed_forward.output.bias", "layers.0.feed_forward_norm.weight",
                  "layers.0.feed_forward_norm.bias", "final_norm.weight", "final_norm.bias"));
}

TEST(StateDictTest, RoundTripHasTheSameBits) {
  Encoder from(small_config()), to(small_config());
  randomise(from, 1);
  randomise(to, 2);
  EXPECT_TRUE(to.load_state_dict(from.state_dict()).empty());
  expect_same_bits(from.state_dict(), to.state_dict());
  // Values are copied, not shared.
  from.named_parameters()[0].value.value().fill(7);
  EXPECT_NE(to.named_parameters()[0].value.value().at(0), 7);
}

/// A state with one fault of each kind, and what remains of it.
StateDict faulty(const Module& model) {
  StateDict state = copy_of(model.state_dict());
  state.erase("layers.0.attention.output.bias");
  state["layers.9.surprise"] = Tensor::zeros({1});
  state["layers.1.attention_norm.weight"] = Tensor::zeros({3});
  state["embeddings.token.weight"] = state["embeddings.token.weight"].to(DType::f64);
  return state;
}

TEST(StateDictTest, StrictListsEveryFaultAndChangesNothing) {
  Encoder source(small_config()), model(small_config());
  randomise(source, 3);
  randomise(model, 4);
  const StateDict before = copy_of(model.state_dict());
  try {
    model.load_state_dict(faulty(source));
    FAIL() << "no error";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("missing    layers.0.attention.output.bias"),
                      HasSubstr("unexpected layers.9.surprise"),
                      HasSubstr("misshapen  layers.1.attention_norm.weight: expected f32 (8) on "
                                "cpu, got f32 (3) on cpu"),
                      HasSubstr("misshapen  embeddings.token.weight: expected f32 (7, 8) on cpu, "
                                "got f64 (7, 8) on cpu"),
                      Not(HasSubstr("position"))));
  }
  expect_same_bits(before, model.state_dict());
}

TEST(StateDictTest, NotStrictLoadsWhatFitsAndNamesTheRest) {
  Encoder source(small_config()), model(small_config());
  randomise(source, 3);
  randomise(model, 4);
  const StateDict before = copy_of(model.state_dict()), state = faulty(source);
  const std::vector<std::string> kept = model.load_state_dict(state, false);
  EXPECT_THAT(kept, testing::UnorderedElementsAre("layers.0.attention.output.bias",
                                                  "layers.1.attention_norm.weight",
                                                  "embeddings.token.weight"));
  for (const auto& [name, tensor] : model.state_dict()) {
    const bool stayed = std::find(kept.begin(), kept.end(), name) != kept.end();
    EXPECT_TRUE(same_bits(tensor, stayed ? before.at(name) : state.at(name))) << name;
  }
}

TEST(ModuleTest, NamesAreDistinct) {
  struct Twice : Module {
    Twice(const std::string& parameter, const std::string& child) {
      add_parameter("weight", {1}, DType::f32, ParameterKind::weight);
      add_parameter(parameter, {1}, DType::f32, ParameterKind::weight);
      add_child(child, inner);
    }
    LayerNorm inner{2, 1e-5, DType::f32};
  };
  EXPECT_NO_THROW(Twice("bias", "norm"));
  EXPECT_THROW(Twice("weight", "norm"), ConfigError);
  EXPECT_THROW(Twice("bias", "bias"), ConfigError);
  EXPECT_THROW(Twice("", "norm"), ConfigError);
}

TEST(ModuleTest, CountsParametersAndForgetsGradients) {
  Encoder model(one_layer());
  // Token 7x8, position 6x8, norm 16; qkv 24x8+24, output 72, norms 32, feed-forward 108 + 104.
  EXPECT_EQ(model.parameter_count(), 56 + 48 + 16 + 216 + 72 + 32 + 108 + 104);
  for (auto& [name, parameter, kind] : model.named_parameters()) {
    parameter.grad() = Tensor::zeros(parameter.shape());
  }
  model.zero_grad();
  for (auto& [name, parameter, kind] : model.named_parameters()) {
    EXPECT_FALSE(parameter.grad().defined()) << name;
  }
}

TEST(Initialise, BiasesAreZeroAndNormsOne) {
  EncoderConfig config = small_config();
  config.relative_bias = 3;
  Encoder model(config);
  initialise(model, 0.02, 1);
  for (const auto& [name, parameter, kind] : model.named_parameters()) {
    if (kind != ParameterKind::offset) continue;
    const double want = name.ends_with("norm.weight") ? 1 : 0;
    for (int64_t i = 0; i < parameter.value().numel(); ++i) {
      ASSERT_EQ(parameter.value().at(i), want) << name;
    }
  }
}

// A standard normal cut at two has the variance 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.773741.
TEST(Initialise, MatricesAreNormalsCutAtTwoDeviations) {
  constexpr double kStd = 0.05, kCutStd = kStd * 0.879626;
  EncoderConfig config = small_config();
  config.vocabulary = 5000;
  Encoder model(config, DType::f64);
  initialise(model, kStd, 1);
  for (const auto& [name, parameter, kind] : model.named_parameters()) {
    if (kind != ParameterKind::weight) continue;
    const auto n = static_cast<double>(parameter.value().numel());
    double sum = 0, squares = 0, largest = 0;
    for (const double x : parameter.value().span<double>()) {
      sum += x;
      squares += x * x;
      largest = std::max(largest, std::abs(x));
    }
    EXPECT_LE(largest, 2 * kStd) << name;
    // Five standard errors; the variance's is below sqrt(2 / n) of it, as the tails are cut.
    EXPECT_NEAR(sum / n, 0, 5 * kCutStd / std::sqrt(n)) << name;
    EXPECT_NEAR(squares / n / (kCutStd * kCutStd), 1, 5 * std::sqrt(2 / n)) << name;
    if (n > 10000) {
      EXPECT_GT(largest, 1.95 * kStd) << name;
    }
  }
}

TEST(Initialise, DependsOnSeedAndPathAlone) {
  Encoder one(small_config()), two(small_config()), other(small_config());
  {
    const Threads one_thread(1);
    initialise(one, 0.02, 1);
  }
  const Threads three(3);
  initialise(other, 0.02, 2);
  initialise(two, 0.02, 1);
  expect_same_bits(one.state_dict(), two.state_dict());
  EXPECT_FALSE(same_bits(one.state_dict().at("embeddings.token.weight"),
                         other.state_dict().at("embeddings.token.weight")));
  // A model with more layers and a segment table has the same values where it has the same paths.
  EncoderConfig config = small_config();
  config.layers = 3;
  config.segments = 2;
  Encoder larger(config);
  initialise(larger, 0.02, 1);
  const StateDict many = larger.state_dict();
  for (const auto& [name, tensor] : one.state_dict()) {
    EXPECT_TRUE(same_bits(tensor, many.at(name))) << name;
  }
  // Layers of one shape have values of their own.
  EXPECT_FALSE(same_bits(many.at("layers.0.attention.output.weight"),
                         many.at("layers.1.attention.output.weight")));
}

}  // namespace
}  // namespace filigree
