// The encoder's configuration: what it refuses, JSON, and the sizes of known models.
#include "nn/encoder_config.h"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/classifier.h"
#include "tests/nn/small_model.h"

namespace filigree {
namespace {

using namespace testing_nn;
using testing::HasSubstr;

TEST(EncoderConfigTest, ValidateNamesTheSettingThatMakesNoSense) {
  struct Fault {
    const char* setting;
    std::function<void(EncoderConfig&)> make;
  };
  const std::vector<Fault> faults{
      {"model.vocabulary", [](auto& c) { c.vocabulary = 0; }},
      {"model.width", [](auto& c) { c.width = 0; }},
      {"model.layers", [](auto& c) { c.layers = -1; }},
      {"model.heads", [](auto& c) { c.heads = 3; }},
      {"model.heads", [](auto& c) { c.heads = 0; }},
      {"model.heads", [](auto& c) { c.heads = -2; }},
      {"model.ffn", [](auto& c) { c.ffn = 0; }},
      {"model.positions", [](auto& c) { c.max_positions = -1; }},
      {"model.position_offset", [](auto& c) { c.position_offset = -1; }},
      {"model.position_offset", [](auto& c) { c.position_offset = c.max_positions; }},
      {"model.segments", [](auto& c) { c.segments = -1; }},
      {"model.relative_bias", [](auto& c) { c.relative_bias = -1; }},
      {"model.dropout", [](auto& c) { c.dropout = 1; }},
      {"model.dropout", [](auto& c) { c.dropout = -0.1; }},
      {"model.attention_dropout", [](auto& c) { c.attention_dropout = 1.5; }},
      {"model.norm_eps", [](auto& c) { c.norm_eps = 0; }},
      {"model.init_std", [](auto& c) { c.init_std = -1; }},
  };
  EXPECT_NO_THROW(small_config().validate());
  for (const Fault& fault : faults) {
    EncoderConfig config = small_config();
    fault.make(config);
    try {
      config.validate();
      ADD_FAILURE() << "no error for " << fault.setting;
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.where(), fault.setting);
    }
    EXPECT_THROW(Encoder{config}, ConfigError) << fault.setting;
  }
}

TEST(EncoderConfigTest, JsonRoundTripKeepsEverySetting) {
  EncoderConfig config;
  config.vocabulary = 101;
  config.width = 24;
  config.layers = 5;
  config.heads = 3;
  config.ffn = 7;
  config.max_positions = 33;
  config.position_offset = 2;
  config.segments = 4;
  config.relative_bias = 6;
  config.dropout = 0.1234567890123456;
  config.attention_dropout = 0.3;
  config.norm_eps = 1e-7;
  config.init_std = 0.03;
  config.activation = Activation::tanh;
  config.norm = NormPlacement::pre;
  const std::string text = config.to_json();
  const EncoderConfig back = EncoderConfig::from_json(text);
  EXPECT_EQ(back.to_json(), text);
  EXPECT_EQ(back.vocabulary, 101);
  EXPECT_EQ(back.width, 24);
  EXPECT_EQ(back.layers, 5);
  EXPECT_EQ(back.heads, 3);
  EXPECT_EQ(back.ffn, 7);
  EXPECT_EQ(back.max_positions, 33);
  EXPECT_EQ(back.position_offset, 2);
  EXPECT_EQ(back.segments, 4);
  EXPECT_EQ(back.relative_bias, 6);
  EXPECT_EQ(back.dropout, 0.1234567890123456);
  EXPECT_EQ(back.attention_dropout, 0.3);
  EXPECT_EQ(back.norm_eps, 1e-7);
  EXPECT_EQ(back.init_std, 0.03);
  EXPECT_EQ(back.activation, Activation::tanh);
  EXPECT_EQ(back.norm, NormPlacement::pre);
  for (const auto activation :
       {Activation::gelu_erf, Activation::gelu_tanh, Activation::relu, Activation::tanh}) {
    config.activation = activation;
    EXPECT_EQ(EncoderConfig::from_json(config.to_json()).activation, activation);
  }
}

TEST(EncoderConfigTest, DamagedJsonIsACheckpointError) {
  const auto good = nlohmann::json::parse(small_config().to_json());
  for (const auto& [key, value] : good.items()) {
    auto lacking = good;
    lacking.erase(key);
    EXPECT_THROW(EncoderConfig::from_json(lacking.dump()), CheckpointError) << key;
    auto wrong = good;
    wrong[key] = nlohmann::json::array();
    EXPECT_THROW(EncoderConfig::from_json(wrong.dump()), CheckpointError) << key;
  }
  for (const auto& [key, value] : {std::pair{"activation", "swish"}, {"norm", "middle"}}) {
    auto unknown = good;
    unknown[key] = value;
    EXPECT_THROW(EncoderConfig::from_json(unknown.dump()), CheckpointError) << key;
  }
  // A setting that makes no sense is the file's fault, not the user's.
  auto senseless = good;
  senseless["heads"] = 3;
  EXPECT_THROW(EncoderConfig::from_json(senseless.dump()), CheckpointError);
  for (const char* text : {"", "{", "[]", "3", "null"}) {
    EXPECT_THROW(EncoderConfig::from_json(text), CheckpointError) << text;
  }
}

// bert-base-uncased has 109 482 240 parameters with its pooler, of which the pooler has 590 592.
TEST(KnownModels, BertBaseHasItsNumberOfParameters) {
  const EncoderConfig config = EncoderConfig::bert(30522);
  const SequenceClassifier model(config, 2, Pool::first);
  EXPECT_EQ(model.encoder().parameter_count(), 109482240 - 590592);
  EXPECT_EQ(model.parameter_count(), 109482240 + 2 * 768 + 2);
}

// roberta-base has 124 645 632 parameters with its pooler; padding and its offset take two of the
// 514 positions.
TEST(KnownModels, RobertaBaseHasItsNumberOfParameters) {
  EXPECT_EQ(Encoder(EncoderConfig::roberta(50265)).parameter_count(), 124645632 - 590592);
}

TEST(KnownModels, RobertaCountsPositionsFromTwo) {
  EncoderConfig config = small_config();
  config.position_offset = 2;  // of 6: sequences of up to 4 tokens
  Encoder model(config);
  randomise(model, 1);
  const TokenBatch fits = random_batch({4, 2}, config, 1), longer = random_batch({5}, config, 1);
  EXPECT_NO_THROW(model.forward(fits, graphs_of(fits, config, "dense"), {}));
  EXPECT_THROW(model.forward(longer, graphs_of(longer, config, "dense"), {}), DataError);
  // The same as a model that counts from 0, with its table moved by two rows.
  EncoderConfig plain_config = small_config();
  Encoder plain(plain_config);
  StateDict state = copy_of(model.state_dict());
  Tensor& table = state["embeddings.position.weight"];
  for (int64_t row = 0; row < 4; ++row) table.slice(row, 1).copy_from(table.slice(row + 2, 1));
  plain.load_state_dict(state);
  EXPECT_TRUE(same_bits(model.forward(fits, graphs_of(fits, config, "dense"), {}).value(),
                        plain.forward(fits, graphs_of(fits, config, "dense"), {}).value()));
}

}  // namespace
}  // namespace filigree
