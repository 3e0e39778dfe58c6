// What degrees are learned by, alone and in an encoder.
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/reduce.h"
#include "core/error.h"
#include "core/random.h"
#include "nn/encoder.h"

namespace filigree {

namespace {

std::vector<std::string> learners() {
  std::vector<std::string> names;
  for (const DegreeLearnerKind& kind : degree_learners()) names.emplace_back(kind.name);
  return names;
}

class EveryLearner : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Degrees, EveryLearner, testing::ValuesIn(learners()));

DegreeShape shape_of(const std::string& learner, const std::string& share = "head",
                     const std::string& start = "dense", int64_t reach = 20) {
  return {2, 3, {learner, reach, share, start}};
}

Tensor random_tensor(RandomStream& random, const Shape& shape) {
  Tensor result(shape, DType::f64);
  for (double& value : result.span<double>()) value = random.normal();
  return result;
}

/// Moves all parameters to where the gates of no learner have a corner.
void move(DegreeLearner& learner, RandomStream& random) {
  for (NamedParameter& parameter : learner.named_parameters()) {
    for (double& value : parameter.value.value().span<double>()) {
      value = parameter.name == "span" ? 4.25 + 0.25 * random.uniform() : 0.5 * random.normal();
    }
  }
}

/// |analytic - central difference| / max(1, both) at most 1e-6 for every entry of the parameters.
void expect_gradients(const NamedParameters& parameters, const std::function<Variable()>& loss) {
  backward(loss());
  for (const NamedParameter& each : parameters) {
    Variable parameter = each.value;
    ASSERT_TRUE(parameter.grad().defined()) << each.name;
    for (int64_t e = 0; e < parameter.value().numel(); ++e) {
      double& value = parameter.value().data<double>()[e];
      const double at = value, h = 1e-4;
      const auto difference = [&](double step) {
        const NoGrad no_grad;
        value = at + step;
        const double up = loss().value().item();
        value = at - step;
        const double down = loss().value().item();
        value = at;
        return up - down;
      };
      const double want = (8 * difference(h) - difference(2 * h)) / (12 * h);
      EXPECT_NEAR(parameter.grad().at(e), want, 1e-6 * std::max(1.0, std::abs(want)))
          << each.name << " at " << e;
    }
  }
}

TEST_P(EveryLearner, GradientsAreThoseOfDifferences) {
  RandomStream random(41, Purpose::test);
  const Tensor weights = random_tensor(random, {3, 21});
  for (const char* share : {"head", "layer", "model"}) {
    const auto learner = make_degree_learner(shape_of(GetParam(), share), DType::f64);
    move(*learner, random);
    expect_gradients(learner->named_parameters(), [&] {
      return add(sum(mul_constant(learner->gate(0, {}), weights)),
                 sum(mul_constant(learner->gate(1, {}), weights)));
    });
  }
}

TEST_P(EveryLearner, WhatDensityIsCountedByHasGradientsToo) {
  RandomStream random(45, Purpose::test);
  const Tensor weights = random_tensor(random, {3, 21});
  const auto learner = make_degree_learner(shape_of(GetParam()), DType::f64);
  move(*learner, random);
  expect_gradients(learner->named_parameters(), [&] {
    return add(sum(mul_constant(learner->open(0), weights)),
               sum(mul_constant(learner->open(1), weights)));
  });
}

TEST_P(EveryLearner, GatesStartAsTheyShould) {
  const auto mean = [&](const std::string& start) {
    double total = 0;
    const auto learner = make_degree_learner(shape_of(GetParam(), "head", start), DType::f64);
    const auto tails = learner->tails();
    EXPECT_EQ(tails.size(), 6u);
    for (const std::vector<double>& tail : tails) {
      EXPECT_EQ(tail.size(), 21u);
      EXPECT_EQ(tail[0], 1);
      for (size_t d = 1; d < tail.size(); ++d) {
        EXPECT_GE(tail[d], 0);
        EXPECT_LE(tail[d], 1);
        total += tail[d] / 20 / 6;
      }
    }
    return total;
  };
  EXPECT_GT(mean("dense"), 0.89);
  EXPECT_LT(mean("local"), 0.45);
  EXPECT_NEAR(mean("uniform"), 0.5, 0.1);
}

// Wherever it starts, a limit on density must be able to move it.
TEST_P(EveryLearner, EveryStartCanLearn) {
  for (const char* start : {"dense", "local", "uniform"}) {
    const auto learner = make_degree_learner(shape_of(GetParam(), "head", start), DType::f64);
    backward(sum(learner->gate(0, {})));
    const Tensor gradient = learner->named_parameters()[0].value.grad();
    ASSERT_TRUE(gradient.defined());
    double size = 0;
    for (int64_t e = 0; e < gradient.numel(); ++e) size += std::abs(gradient.at(e));
    EXPECT_GT(size, 1e-3) << start;
  }
}

TEST_P(EveryLearner, SharedDegreesAreEqual) {
  RandomStream random(42, Purpose::test);
  for (const auto& [share, rows] : {std::pair{"head", 6}, {"layer", 2}, {"model", 1}}) {
    const auto learner = make_degree_learner(shape_of(GetParam(), share), DType::f64);
    EXPECT_EQ(learner->named_parameters()[0].value.shape()[0], rows);
    move(*learner, random);
    const auto tails = learner->tails();
    EXPECT_EQ(tails[0] == tails[1], rows < 6);
    EXPECT_EQ(tails[0] == tails[3], rows < 2);
  }
}

TEST(Degrees, EntropyIsThatOfTheDistributions) {
  RandomStream random(46, Purpose::test);
  const auto learner = make_degree_learner(shape_of("degrees", "head", "uniform"), DType::f64);
  EXPECT_NEAR(learner->mean_entropy().value().item(), std::log(21.0), 1e-12);
  move(*learner, random);
  expect_gradients(learner->named_parameters(), [&] { return learner->mean_entropy(); });
  EXPECT_FALSE(make_degree_learner(shape_of("free_offsets"), DType::f64)->mean_entropy().defined());
}

// The share of draws of the noisy gate that are above 0.
TEST(Degrees, HeadGatesAreOpenAsOftenAsTheySay) {
  const auto learner = make_degree_learner(shape_of("head_gates", "head", "dense"), DType::f64);
  learner->named_parameters()[0].value.value().fill(-0.7);
  int open = 0;
  constexpr int kDraws = 4000;
  for (uint64_t step = 0; step < kDraws; ++step) {
    open += learner->gate(0, {true, 7, step}).value().at(1) > 0;
  }
  const double p = 1 / (1 + std::exp(0.7 + 0.33 * std::log(0.1 / 1.1)));
  EXPECT_NEAR(learner->open(0).value().at(1), p, 1e-12);
  EXPECT_NEAR(open / double{kDraws}, p, 6 * std::sqrt(p * (1 - p) / kDraws));
}

TEST(Degrees, ASpanStaysInItsRange) {
  const auto learner = make_degree_learner(shape_of("adaptive_span"), DType::f32);
  const std::span<float> z = learner->named_parameters()[0].value.value().span<float>();
  z[0] = -3;
  z[1] = 400;
  z[2] = 7;
  learner->project();
  EXPECT_EQ(z[0], 0);
  EXPECT_EQ(z[1], 20);
  EXPECT_EQ(z[2], 7);
}

TEST(Degrees, HeadGatesAreNoisyInTrainingOnly) {
  const auto learner = make_degree_learner(shape_of("head_gates", "head", "uniform"), DType::f64);
  const auto first = [&](bool training, uint64_t step) {
    return learner->gate(0, {training, 7, step}).value().at(1);
  };
  EXPECT_EQ(first(false, 1), first(false, 2));
  EXPECT_EQ(first(true, 1), first(true, 1));
  int open = 0, closed = 0;
  double sum = 0;
  constexpr int kDraws = 4000;
  for (uint64_t step = 0; step < kDraws; ++step) {
    const double g = first(true, step);
    open += g == 1;
    closed += g == 0;
    sum += g;
  }
  // P(g = 0) = P(g = 1) = sigmoid(-0.33 ln 11) = 0.3119 at x = 0; a standard deviation is 0.0073.
  EXPECT_NEAR(open / double{kDraws}, 0.3119, 0.044);
  EXPECT_NEAR(closed / double{kDraws}, 0.3119, 0.044);
  EXPECT_NEAR(sum / kDraws, 0.5, 0.044);
}

TEST(Degrees, WrongSettings) {
  EXPECT_THROW(make_degree_learner(shape_of("softmax"), DType::f32), ConfigError);
  EXPECT_THROW(make_degree_learner(shape_of("degrees", "heads"), DType::f32), ConfigError);
  EXPECT_THROW(make_degree_learner(shape_of("degrees", "head", "sparse"), DType::f32), ConfigError);
  EXPECT_THROW(make_degree_learner(shape_of("degrees", "head", "dense", 0), DType::f32),
               ConfigError);
  for (const DegreeLearnerKind& kind : degree_learners()) {
    DegreeShape drawn = shape_of(std::string(kind.name));
    drawn.config.draws = true;
    if (kind.draws) {
      EXPECT_NO_THROW(make_degree_learner(drawn, DType::f32));
    } else {
      EXPECT_THROW(make_degree_learner(drawn, DType::f32), ConfigError) << kind.name;
    }
  }
}

/// A small encoder over three sequences of 7, 1 and 5 tokens.
struct SmallEncoder {
  EncoderConfig config;
  TokenBatch batch;
  LayerGraphs graphs;
  ForwardContext context{true, 3, 5};

  explicit SmallEncoder(const std::string& learner) {
    config.vocabulary = 11;
    config.width = 12;
    config.layers = 2;
    config.heads = 3;
    config.ffn = 16;
    config.max_positions = 7;
    config.init_std = 0.4;
    config.dropout = config.attention_dropout = 0.2;
    config.norm = NormPlacement::pre;
    if (!learner.empty()) config.degrees = {learner, 6, "head", "uniform"};
    const std::vector<int64_t> offsets{0, 7, 8, 13};
    std::vector<int32_t> ids, positions;
    for (size_t b = 0; b + 1 < offsets.size(); ++b) {
      for (int64_t i = 0; i < offsets[b + 1] - offsets[b]; ++i) {
        ids.push_back(static_cast<int32_t>((3 * i + 5 * static_cast<int64_t>(b)) % 11));
        positions.push_back(static_cast<int32_t>(i));
      }
    }
    batch.ids = Tensor::from(ids);
    batch.positions = Tensor::from(positions);
    batch.offsets = Tensor::from(offsets);
    batch.always = std::make_shared<AlwaysOn>(AlwaysOn{{0, 1, 2, 3}, {0, 0, 0}});
    const auto dense = std::make_shared<AttentionGraph>(AttentionGraph::dense(batch.offsets, 3));
    graphs = {dense, dense};
  }

  std::unique_ptr<Encoder> make() const {
    auto encoder = std::make_unique<Encoder>(config, DType::f64);
    initialise(*encoder, config.init_std, 9);
    return encoder;
  }
};

TEST_P(EveryLearner, GradientsThroughAnEncoderAreThoseOfDifferences) {
  RandomStream random(43, Purpose::test);
  const SmallEncoder small(GetParam());
  const auto encoder = small.make();
  move(*encoder->degrees(), random);
  const Tensor weights = random_tensor(random, {13, 12});
  const auto loss = [&] {
    return sum(mul_constant(encoder->forward(small.batch, small.graphs, small.context), weights));
  };
  if (GetParam() ==
      "adaptive_span") {  // corners, at distances 2.25 and 3.75, are far from whole ones
    encoder->degrees()->named_parameters()[0].value.value().fill(2.25);
  }
  expect_gradients(encoder->degrees()->named_parameters(), loss);
}

TEST_P(EveryLearner, RecomputationGivesTheSameBits) {
  RandomStream random(44, Purpose::test);
  const SmallEncoder small(GetParam());
  const Tensor weights = random_tensor(random, {13, 12});
  std::vector<StateDict> gradients;
  for (const bool recompute : {false, true}) {
    const auto encoder = small.make();
    encoder->set_recompute(recompute);
    backward(
        sum(mul_constant(encoder->forward(small.batch, small.graphs, small.context), weights)));
    StateDict& found = gradients.emplace_back();
    for (const NamedParameter& parameter : encoder->named_parameters()) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
      found[parameter.name] = parameter.value.grad();
    }
  }
  for (const auto& [name, gradient] : gradients[0]) {
    EXPECT_EQ(std::memcmp(gradient.raw(), gradients[1][name].raw(),
                          static_cast<size_t>(gradient.bytes())),
              0)
        << name;
  }
}

// Where reaches are drawn, the encoder is one without degrees on the graphs that are drawn.
TEST(Degrees, DrawnReachesAreHardAttention) {
  for (const char* share : {"head", "layer", "model"}) {
    SmallEncoder plain(""), drawn("degrees");
    drawn.config.degrees.draws = true;
    drawn.config.degrees.share = share;
    const auto without = plain.make(), with = drawn.make();
    for (size_t l = 0; l < 2; ++l) {
      const LayerDegrees degrees =
          with->degrees()->layer(static_cast<int>(l), drawn.batch.always, drawn.context);
      AttentionOptions options;
      options.seed = drawn.context.seed;
      options.step = drawn.context.step;
      options.layer = static_cast<int>(l);
      const Tensor own = draw_reaches(*degrees.ensemble, 13, options);
      plain.graphs[l] = reach_graph(drawn.batch.offsets, own, 0, 6, drawn.batch.always.get());
      EXPECT_LT(plain.graphs[l]->density(), 1);
    }
    const Tensor a = without->forward(plain.batch, plain.graphs, plain.context).value();
    const Tensor b = with->forward(drawn.batch, drawn.graphs, drawn.context).value();
    for (int64_t e = 0; e < a.numel(); ++e) EXPECT_NEAR(a.at(e), b.at(e), 1e-12);
  }
}

TEST(Degrees, DrawnReachesLearnAndRecomputeToTheSameBits) {
  RandomStream random(47, Purpose::test);
  SmallEncoder small("degrees");
  small.config.degrees.draws = true;
  const Tensor weights = random_tensor(random, {13, 12});
  std::vector<Tensor> gradients;
  for (const bool recompute : {false, true}) {
    const auto encoder = small.make();
    encoder->set_recompute(recompute);
    backward(
        sum(mul_constant(encoder->forward(small.batch, small.graphs, small.context), weights)));
    gradients.push_back(encoder->degrees()->named_parameters()[0].value.grad());
    ASSERT_TRUE(gradients.back().defined());
  }
  double size = 0;
  for (int64_t e = 0; e < gradients[0].numel(); ++e) size += std::abs(gradients[0].at(e));
  EXPECT_GT(size, 1e-6);
  EXPECT_EQ(std::memcmp(gradients[0].raw(), gradients[1].raw(),
                        static_cast<size_t>(gradients[0].bytes())),
            0);
}

// Wide open gates are none.
TEST(Degrees, OpenGatesLeaveAnEncoderAsItIs) {
  const SmallEncoder plain(""), gated("free_offsets");
  const auto without = plain.make(), with = gated.make();
  with->degrees()->named_parameters()[0].value.value().fill(800);
  const Tensor a = without->forward(plain.batch, plain.graphs, plain.context).value();
  const Tensor b = with->forward(gated.batch, gated.graphs, gated.context).value();
  for (int64_t e = 0; e < a.numel(); ++e) EXPECT_NEAR(a.at(e), b.at(e), 1e-12);
}

TEST(Degrees, StandInTheConfigurationOfAnEncoder) {
  const SmallEncoder small("adaptive_span");
  const EncoderConfig back = EncoderConfig::from_json(small.config.to_json());
  EXPECT_EQ(back.degrees, small.config.degrees);
  EXPECT_EQ(SmallEncoder("").config.to_json().find("degrees"), std::string::npos);
  EncoderConfig wrong = small.config;
  wrong.degrees.learner = "adaptive_spam";
  EXPECT_THROW(EncoderConfig::from_json(wrong.to_json()), CheckpointError);
}

}  // namespace

}  // namespace filigree
