// What an encoder computes: its parts, dropout, errors.
#include "nn/encoder.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>

#include "autograd/backward.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/segment_pool.h"
#include "autograd/ops/select_rows.h"
#include "core/error.h"
#include "nn/classifier.h"
#include "tests/nn/small_model.h"

namespace filigree {
namespace {

using namespace testing_nn;

Tensor hidden(const EncoderConfig& config, const TokenBatch& batch, std::string_view pattern,
              const ForwardContext& context = {}, DType dtype = DType::f64) {
  Encoder model(config, dtype);
  randomise(model, 1);
  return model.forward(batch, graphs_of(batch, config, pattern), context).value();
}

void expect_near(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.shape(), want.shape());
  for (int64_t i = 0; i < got.numel(); ++i) {
    ASSERT_NEAR(got.at(i), want.at(i), tolerance) << "at " << i;
  }
}

TEST(EncoderTest, ASequenceKnowsNothingOfTheOthersInItsBatch) {
  for (const auto norm : {NormPlacement::post, NormPlacement::pre}) {
    EncoderConfig config = small_config();
    config.norm = norm;
    const TokenBatch batch = random_batch({4, 1, 6, 2}, config, 3);
    const Tensor together = hidden(config, batch, "bigbird:1,1,1");
    for (int64_t b = 0; b + 1 < batch.offsets.numel(); ++b) {
      const auto first = static_cast<int64_t>(batch.offsets.at(b));
      const auto count = static_cast<int64_t>(batch.offsets.at(b + 1)) - first;
      const TokenBatch alone{batch.ids.slice(first, count),
                             batch.positions.slice(first, count),
                             {},
                             Tensor::from(std::vector<int64_t>{0, count})};
      expect_near(hidden(config, alone, "bigbird:1,1,1"), together.slice(first, count), 1e-12);
    }
  }
}

TEST(EncoderTest, WithoutPositionsATokenIsTheSameWhereverItStands) {
  EncoderConfig config = small_config();
  config.max_positions = 0;
  config.norm = NormPlacement::pre;
  const TokenBatch batch = random_batch({9}, config, 3);  // longer than any table
  TokenBatch reversed = batch;
  reversed.ids = batch.ids.clone();
  std::reverse(reversed.ids.span<int32_t>().begin(), reversed.ids.span<int32_t>().end());
  const Tensor forwards = hidden(config, batch, "dense");
  const Tensor backwards = hidden(config, reversed, "dense");
  for (int64_t t = 0; t < 9; ++t) {
    expect_near(backwards.slice(8 - t, 1), forwards.slice(t, 1), 1e-12);
  }
  // With positions it is not.
  config.max_positions = 9;
  const double difference =
      std::abs(hidden(config, batch, "dense").at(0) - hidden(config, reversed, "dense").at(8 * 8));
  EXPECT_GT(difference, 1e-3);
}

TEST(EncoderTest, NoSegmentsInABatchMeansSegmentZero) {
  EncoderConfig config = small_config();
  config.segments = 2;
  TokenBatch batch = random_batch({5, 4}, config, 3);
  const Tensor mixed = hidden(config, batch, "dense");
  batch.segments = Tensor::zeros(batch.ids.shape(), DType::i32);
  const Tensor zeros = hidden(config, batch, "dense");
  batch.segments = {};
  EXPECT_TRUE(same_bits(hidden(config, batch, "dense"), zeros));
  EXPECT_FALSE(same_bits(mixed, zeros));
  batch.segments = Tensor::full(batch.ids.shape(), 2, DType::i32);
  EXPECT_THROW(hidden(config, batch, "dense"), DataError);
}

TEST(EncoderTest, RelativeBiasDecidesWhoIsSeen) {
  EncoderConfig config = small_config();
  config.relative_bias = 2;
  const TokenBatch batch = random_batch({6, 3}, config, 3);
  const LayerGraphs dense = graphs_of(batch, config, "dense");
  Encoder model(config, DType::f64), plain(small_config(), DType::f64);
  randomise(model, 1);
  const auto set_bias = [&](int64_t column, double value) {
    for (auto& [name, parameter, kind] : model.named_parameters()) {
      if (!name.ends_with("relative_bias")) continue;
      parameter.value().fill(0);
      for (int64_t h = 0; h < config.heads; ++h) {
        parameter.value().data<double>()[h * 5 + column] = value;
      }
    }
  };
  plain.load_state_dict(model.state_dict(), false);
  set_bias(2, 0);  // none at all
  expect_near(model.forward(batch, dense, {}).value(), plain.forward(batch, dense, {}).value(),
              1e-12);
  set_bias(2, 1000);  // distance 0: every token sees itself alone
  expect_near(model.forward(batch, dense, {}).value(),
              plain.forward(batch, graphs_of(batch, config, "self"), {}).value(), 1e-12);
  set_bias(3, 1000);  // distance +1: every token sees the next one, the last one sees all
  const Tensor next = model.forward(batch, dense, {}).value();
  const auto graph = std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
      batch.offsets, 1, {0, 0}, [&](int, int64_t b, int64_t i, Runs& out) {
        const int64_t* offsets = batch.offsets.data<int64_t>();
        i + 1 < offsets[b + 1] ? append_run(out, i + 1, i + 2)
                               : append_run(out, offsets[b], offsets[b + 1]);
      }));
  expect_near(next, plain.forward(batch, {graph, graph}, {}).value(), 1e-12);
}

TEST(EncoderTest, GivesTheStatesAfterEveryLayer) {
  for (const auto norm : {NormPlacement::post, NormPlacement::pre}) {
    EncoderConfig config = small_config();
    config.norm = norm;
    Encoder model(config);
    randomise(model, 1);
    const TokenBatch batch = random_batch({5}, config, 3);
    Variables all;
    const Variable last = model.forward(batch, graphs_of(batch, config, "dense"), {}, &all);
    ASSERT_EQ(all.size(), 3U);
    for (const Variable& state : all) EXPECT_EQ(state.shape(), (Shape{5, 8}));
    // Pre-norm has its last norm after the last layer.
    EXPECT_EQ(same_bits(all.back().value(), last.value()), norm == NormPlacement::post);
  }
}

// Whatever follows the encoder: the states that are wanted, and every gradient of theirs, are
// those of a forward pass for all tokens.
TEST(EncoderTest, GivesTheStatesThatAreWanted) {
  for (const auto norm : {NormPlacement::post, NormPlacement::pre}) {
    for (const int64_t layers : {0, 1, 2}) {
      for (const std::vector<int32_t>& rows :
           {std::vector<int32_t>{0, 3, 4, 5, 9}, {6}, {}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
        for (const bool recompute : {false, true}) {
          SCOPED_TRACE(testing::Message() << layers << " layers, " << rows.size() << " rows");
          EncoderConfig config = small_config();
          config.norm = norm;
          config.layers = layers;
          config.relative_bias = 1;
          Encoder model(config, DType::f64);
          randomise(model, 1);
          model.set_recompute(recompute);
          TokenBatch batch = random_batch({4, 1, 5}, config, 3);
          const LayerGraphs graphs = graphs_of(batch, config, "neighbour:1|global:first=1");
          const Tensor wanted = Tensor::from(rows);
          RandomStream random(7, Purpose::test);
          Tensor weights({wanted.numel(), config.width}, DType::f64);
          for (double& w : weights.span<double>()) w = random.normal();
          const auto gradients = [&](const Variable& states) {
            model.zero_grad();
            backward(sum(mul(states, Variable(weights))));
            return gradients_of(model);
          };
          const Variable all = select_rows({model.forward(batch, graphs, {})}, wanted)[0];
          const StateDict want = gradients(all);
          batch.wanted = wanted;
          const Variable some = model.forward(batch, graphs, {});
          expect_near(some.value(), all.value(), 1e-13);
          const StateDict got = gradients(some);
          ASSERT_EQ(got.size(), want.size());
          for (const auto& [name, gradient] : want) expect_near(got.at(name), gradient, 1e-12);
        }
      }
    }
  }
}

TEST(EncoderTest, ComputesNoOthersInTheLastLayer) {
  EncoderConfig config = small_config();
  config.dropout = 0.5;
  Encoder model(config, DType::f64);
  randomise(model, 1);
  TokenBatch batch = random_batch({4, 1, 5}, config, 3);
  batch.wanted = Tensor::from(std::vector<int32_t>{2, 7});
  const LayerGraphs graphs = graphs_of(batch, config, "dense");
  Variables all;
  const Variable states = model.forward(batch, graphs, {true, 1, 1}, &all);
  EXPECT_EQ(states.shape(), (Shape{2, 8}));
  EXPECT_EQ(all[1].shape(), (Shape{10, 8}));
  EXPECT_EQ(all[2].shape(), (Shape{2, 8}));
  for (const std::vector<int32_t>& wrong : {std::vector<int32_t>{7, 2}, {2, 2}, {-1, 2}, {2, 10}}) {
    batch.wanted = Tensor::from(wrong);
    EXPECT_THROW(model.forward(batch, graphs, {}), DataError);
  }
}

// What a classifier wants is its pool's to say; a sequence without tokens has the pool 0.
TEST(EncoderTest, AClassifierLeavesOutNoTokenThatCounts) {
  const EncoderConfig config = small_config();
  for (const Pool pool : {Pool::first, Pool::mean}) {
    SequenceClassifier model(config, 3, pool, DType::f64);
    randomise(model, 1);
    TokenBatch batch = random_batch({0, 4, 0, 1, 5, 0}, config, 3);
    const LayerGraphs graphs = graphs_of(batch, config, "neighbour:1");
    const Variable pooled =
        segment_pool(model.encoder().forward(batch, graphs, {}), batch.offsets, pool);
    batch.wanted = Tensor::from(std::vector<int32_t>{2, 3});
    const Tensor logits = model.forward(batch, graphs, {}).value();
    EXPECT_EQ(batch.wanted.numel(), 2);
    const StateDict head = model.state_dict();
    const auto linear_of = [&](const Variable& x, const std::string& name) {
      return linear(x, Variable(head.at(name + ".weight")), Variable(head.at(name + ".bias")));
    };
    expect_near(logits, linear_of(tanh(linear_of(pooled, "pooler")), "classifier").value(), 1e-13);
  }
}

TEST(EncoderTest, NoLayersAndNoTokens) {
  EncoderConfig config = small_config();
  config.layers = 0;
  const TokenBatch batch = random_batch({5}, config, 3);
  EXPECT_EQ(hidden(config, batch, "dense").shape(), (Shape{5, 8}));
  config.layers = 2;
  const TokenBatch empty = random_batch({}, config, 3);
  EXPECT_EQ(hidden(config, empty, "neighbour:2").shape(), (Shape{0, 8}));
}

TEST(DropoutTest, DependsOnTrainingSeedAndStep) {
  EncoderConfig config = small_config();
  const TokenBatch batch = random_batch({6, 4}, config, 3);
  const Tensor clean = hidden(config, batch, "dense");
  for (const bool in_attention : {false, true}) {
    (in_attention ? config.attention_dropout : config.dropout) = 0.5;
    (in_attention ? config.dropout : config.attention_dropout) = 0;
    const auto run = [&](bool training, uint64_t seed, uint64_t step) {
      return hidden(config, batch, "dense", {training, seed, step});
    };
    EXPECT_TRUE(same_bits(run(false, 1, 1), clean));
    EXPECT_TRUE(same_bits(run(true, 1, 1), run(true, 1, 1)));
    EXPECT_FALSE(same_bits(run(true, 1, 1), clean));
    EXPECT_FALSE(same_bits(run(true, 1, 1), run(true, 2, 1)));
    EXPECT_FALSE(same_bits(run(true, 1, 1), run(true, 1, 2)));
    const Threads three(3);
    EXPECT_TRUE(same_bits(run(true, 1, 1), [&] {
      const Threads one(1);
      return run(true, 1, 1);
    }()));
  }
}

TEST(DropoutTest, EverySiteDrawsItsOwnMask) {
  const Variable ones(Tensor::full({16, 16}, 1), false);
  const ForwardContext context{true, 1, 1};
  std::vector<Tensor> masks{apply_dropout(ones, 0.5, context, "here").value(),
                            apply_dropout(ones, 0.5, context, "there").value(),
                            apply_dropout(ones, 0.5, {true, 1, 2}, "here").value(),
                            apply_dropout(ones, 0.5, {true, 2, 1}, "here").value()};
  for (size_t a = 0; a < masks.size(); ++a) {
    for (size_t b = 0; b < a; ++b) EXPECT_FALSE(same_bits(masks[a], masks[b])) << a << ", " << b;
    for (const float x : masks[a].span<float>()) EXPECT_TRUE(x == 0 || x == 2);
  }
  EXPECT_TRUE(apply_dropout(ones, 0, context, "here").same(ones));
  EXPECT_TRUE(apply_dropout(ones, 0.5, {false, 1, 1}, "here").same(ones));
}

TEST(EncoderTest, RefusesWhatDoesNotFit) {
  const EncoderConfig config = small_config();
  const TokenBatch batch = random_batch({4, 2}, config, 3);
  const Encoder model(config);
  LayerGraphs graphs = graphs_of(batch, config, "dense");
  graphs.pop_back();
  EXPECT_THROW(model.forward(batch, graphs, {}), ShapeError);
  // Graphs of another batch.
  const TokenBatch other = random_batch({4, 3}, config, 3);
  EXPECT_THROW(model.forward(batch, graphs_of(other, config, "dense"), {}), ShapeError);
  TokenBatch unknown = batch;
  unknown.ids = Tensor::full({6}, 7, DType::i32);
  EXPECT_THROW(model.forward(unknown, graphs_of(batch, config, "dense"), {}), DataError);
  const TokenBatch longer = random_batch({7}, config, 3);
  EXPECT_THROW(model.forward(longer, graphs_of(longer, config, "dense"), {}), DataError);
  EXPECT_THROW(SequenceClassifier(config, 0, Pool::first), ConfigError);
}

// RoBERTa has one kind of segment: the second text of a pair is not told apart.
TEST(EncoderTest, OneKindOfSegmentIsAllZeros) {
  EncoderConfig config = small_config();
  config.segments = 1;
  Encoder encoder(config, DType::f64);
  randomise(encoder, 3);
  TokenBatch batch = random_batch({4, 2}, config, 1);
  const LayerGraphs graphs = graphs_of(batch, config, "dense");
  const Tensor zeros = encoder.forward(batch, graphs, {}).value();
  batch.segments = Tensor::full({6}, 1, DType::i32);
  EXPECT_TRUE(same_bits(zeros, encoder.forward(batch, graphs, {}).value()));
  batch.segments = Tensor();
  EXPECT_TRUE(same_bits(zeros, encoder.forward(batch, graphs, {}).value()));
  config.max_positions = 6;
  config.position_offset = 2;
  EXPECT_EQ(config.longest_sequence(), 4);
}

}  // namespace
}  // namespace filigree
