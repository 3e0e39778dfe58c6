// Heads, layer-wise rates, frozen parameters, seeds of parts.
#include "nn/finetuning.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/ops/reduce.h"
#include "core/error.h"
#include "nn/classifier.h"
#include "nn/optimizer.h"
#include "nn/token_classifier.h"
#include "tests/error_text.h"
#include "tests/nn/small_model.h"

namespace filigree {
namespace {

using namespace testing_nn;
using filigree::testing::error_of;
using ::testing::HasSubstr;

TEST(Finetuning, RatesFallFromTheHeadToTheEmbeddings) {
  EncoderConfig config = small_config();
  config.layers = 12;
  config.norm = NormPlacement::pre;
  const SequenceClassifier model(config, 2, Pool::first);
  // lr * decay^(L - l): the top layer of twelve, 11, has 0.9, the first 0.9^12.
  const auto expected = [](const std::string& name) {
    if (name.starts_with("encoder.embeddings.")) return std::pow(0.9, 13);
    for (int layer = 0; layer < 12; ++layer) {
      if (name.starts_with("encoder.layers." + std::to_string(layer) + ".")) {
        return std::pow(0.9, 12 - layer);
      }
    }
    return 1.0;  // encoder.final_norm, pooler, classifier
  };
  for (const auto& [name, parameter, kind] : model.named_parameters()) {
    EXPECT_DOUBLE_EQ(layer_rate(name, 12, 0.9), expected(name)) << name;
    EXPECT_EQ(layer_rate(name, 12, 1), 1) << name;
  }
}

TEST(Finetuning, AnOptimizerStepsAtTheRateOfEachParameter) {
  for (const bool adamw : {true, false}) {
    // b, at half the rate, moves as it does at half the common rate: decay and all.
    std::vector<std::vector<double>> ends;
    for (const bool halved : {true, false}) {
      Variable a(Tensor::from(std::vector<double>{1, -2}), true);
      Variable b(Tensor::from(std::vector<double>{3, 0.5}), true);
      const NamedParameters named{{"a", a}, {"b", b}};
      const auto optimizer = adamw ? make_adamw(named) : make_sgd(named, {0.9, 0.1});
      if (halved) {
        optimizer->set_rate_factors([](const std::string& name) { return name == "b" ? 0.5 : 1; });
      }
      for (int step = 1; step <= 3; ++step) {
        a.grad() = Tensor::from(std::vector<double>{0.3, -0.1 * step});
        b.grad() = Tensor::from(std::vector<double>{-0.2 * step, 0.7});
        optimizer->step(halved ? 0.1 : 0.05);
      }
      ends.push_back({b.value().at(0), b.value().at(1)});
      EXPECT_NE(a.value().at(0), 1);
    }
    EXPECT_EQ(ends[0], ends[1]);
  }
}

TEST(Finetuning, WhatIsFrozenGetsNoGradient) {
  const EncoderConfig config = small_config();
  const TokenBatch batch = random_batch({4, 3}, config, 1);
  const LayerGraphs graphs = graphs_of(batch, config, "dense");
  const auto with_gradient = [&](const std::string& what, bool recompute) {
    SequenceClassifier model(config, 2, Pool::mean, DType::f64);
    randomise(model, 3);
    model.encoder().set_recompute(recompute);
    const Freeze frozen = Freeze::parse(what);
    const NamedParameters learning = freeze(model, frozen);
    backward(sum(model.forward(batch, graphs, {})));
    std::vector<std::string> names;
    for (const auto& [name, parameter, kind] : model.named_parameters()) {
      EXPECT_EQ(parameter.grad().defined(), !frozen.holds(name)) << what << ": " << name;
      if (parameter.grad().defined()) names.push_back(name);
    }
    EXPECT_EQ(learning.size(), names.size());
    return names;
  };
  for (const bool recompute : {false, true}) {
    EXPECT_EQ(with_gradient("none", recompute).size(), 32u);
    EXPECT_EQ(with_gradient("embeddings", recompute).front(),
              "encoder.layers.0.attention.query_key_value.weight");
    EXPECT_EQ(with_gradient("first:1", recompute).front(),
              "encoder.layers.1.attention.query_key_value.weight");
    EXPECT_EQ(with_gradient("encoder", recompute).size(), 4u);
  }
}

TEST(Finetuning, WrongFreezesAreNamed) {
  for (const char* wrong : {"first", "first:", "first:0", "first:-1", "first:1x", "layers"}) {
    EXPECT_THAT(error_of([&] { Freeze::parse(wrong); }), HasSubstr("expected none, embeddings"))
        << wrong;
  }
  SequenceClassifier model(small_config(), 2, Pool::first);
  EXPECT_THAT(error_of([&] { freeze(model, Freeze::parse("first:3")); }),
              HasSubstr("at most 2 layers, got 3"));
}

TEST(Finetuning, AHeadHasASeedOfItsOwn) {
  const auto weights = [](uint64_t encoder, uint64_t head) {
    SequenceClassifier model(small_config(), 2, Pool::first);
    initialise(model, 0.02, [&](const std::string& name) {
      return is_encoder_parameter(name) ? encoder : head;
    });
    return copy_of(model.state_dict());
  };
  const StateDict one = weights(1, 1), other_head = weights(1, 2), other_encoder = weights(2, 1);
  for (const auto& [name, tensor] : one) {
    const bool drawn = name.ends_with("weight") && name.find("norm") == std::string::npos;
    EXPECT_EQ(same_bits(tensor, other_head.at(name)), is_encoder_parameter(name) || !drawn) << name;
    EXPECT_EQ(same_bits(tensor, other_encoder.at(name)), !is_encoder_parameter(name) || !drawn)
        << name;
  }
  SequenceClassifier whole(small_config(), 2, Pool::first);
  initialise(whole, 0.02, 1);
  expect_same_bits(one, whole.state_dict());
}

TEST(TokenClassifierHead, GivesEveryTokenItsOwnLogits) {
  const EncoderConfig config = small_config();
  TokenClassifier model(config, 5, DType::f64);
  randomise(model, 4);
  const TokenBatch batch = random_batch({3, 2}, config, 2);
  const LayerGraphs graphs = graphs_of(batch, config, "dense");
  const Tensor hidden = model.encoder().forward(batch, graphs, {}).value();
  const Tensor logits = model.forward(batch, graphs, {}).value();
  ASSERT_EQ(logits.shape(), (Shape{5, 5}));
  const StateDict state = model.state_dict();
  const Tensor &w = state.at("classifier.weight"), &b = state.at("classifier.bias");
  for (int64_t t = 0; t < 5; ++t) {
    for (int64_t c = 0; c < 5; ++c) {
      double expected = b.at(c);
      for (int64_t e = 0; e < config.width; ++e) {
        expected += hidden.at(t * config.width + e) * w.at(c * config.width + e);
      }
      EXPECT_NEAR(logits.at(t * 5 + c), expected, 1e-12);
    }
  }
  EXPECT_THROW(TokenClassifier(config, 0), ConfigError);
}

}  // namespace
}  // namespace filigree
