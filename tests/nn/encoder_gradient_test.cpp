// Gradients of whole models: central differences, recomputation, micro-batches.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/ops/cross_entropy.h"
#include "nn/classifier.h"
#include "tests/nn/small_model.h"

namespace filigree {
namespace {

using namespace testing_nn;

constexpr int64_t kClasses = 3;

/// Labels 0, 1, 2, 0 .. for every sequence.
Tensor labels_of(const TokenBatch& batch) {
  Tensor labels({batch.offsets.numel() - 1}, DType::i32);
  for (int64_t b = 0; b < labels.numel(); ++b) {
    labels.data<int32_t>()[b] = static_cast<int32_t>(b % kClasses);
  }
  return labels;
}

struct Setting {
  const char* name;
  NormPlacement norm;
  Activation activation;
  int64_t positions, segments, relative_bias;
  double dropout;
  Pool pool;
  const char* pattern;

  EncoderConfig config() const {
    EncoderConfig config = small_config();
    config.norm = norm;
    config.activation = activation;
    config.max_positions = positions;
    config.segments = segments;
    config.relative_bias = relative_bias;
    config.dropout = config.attention_dropout = dropout;
    return config;
  }
};

class WholeModel : public testing::TestWithParam<Setting> {};
INSTANTIATE_TEST_SUITE_P(
    Models, WholeModel,
    testing::Values(Setting{"post_dense", NormPlacement::post, Activation::gelu_erf, 6, 2, 0, 0,
                            Pool::first, "dense"},
                    Setting{"post_sparse", NormPlacement::post, Activation::gelu_tanh, 6, 0, 0, 0,
                            Pool::mean, "neighbour:1|random:1|noself"},
                    Setting{"pre_sparse_with_bias", NormPlacement::pre, Activation::tanh, 0, 0, 2,
                            0, Pool::mean, "bigbird:1,1,1"},
                    Setting{"post_dense_with_dropout", NormPlacement::post, Activation::gelu_erf, 6,
                            2, 1, 0.3, Pool::mean, "dense"},
                    Setting{"pre_sparse_with_dropout", NormPlacement::pre, Activation::gelu_tanh, 6,
                            0, 0, 0.3, Pool::mean, "causal & neighbour:2"}),
    [](const auto& info) { return info.param.name; });

TEST_P(WholeModel, EveryGradientAgreesWithCentralDifferences) {
  const Threads one_thread(1);
  const EncoderConfig config = GetParam().config();
  SequenceClassifier model(config, kClasses, GetParam().pool, DType::f64);
  randomise(model, 1);
  const TokenBatch batch = random_batch({4, 1, 5}, config, 2);
  const LayerGraphs graphs = graphs_of(batch, config, GetParam().pattern);
  // Dropout draws by key: the same mask in every evaluation.
  const ForwardContext context{.training = true, .seed = 3, .step = 4};
  const Tensor labels = labels_of(batch);
  const auto loss = [&] { return cross_entropy(model.forward(batch, graphs, context), labels); };
  backward(loss());

  constexpr double kStep = 1e-3;
  const NoGrad no_grad;
  double largest_gradient = 0;
  for (auto& [name, parameter, kind] : model.named_parameters()) {
    for (int64_t i = 0; i < parameter.value().numel(); ++i) {
      double& x = parameter.value().data<double>()[i];
      const double at = x;
      const auto value = [&](double steps) {
        x = at + steps * kStep;
        return loss().value().item();
      };
      const double numeric = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * kStep);
      x = at;
      const double analytic = parameter.grad().at(i);
      largest_gradient = std::max(largest_gradient, std::abs(analytic));
      const double size = std::max({1.0, std::abs(analytic), std::abs(numeric)});
      ASSERT_LE(std::abs(analytic - numeric), 1e-6 * size) << name << " at " << i;
    }
  }
  EXPECT_GT(largest_gradient, 0.1) << "nothing was tested";
}

TEST_P(WholeModel, RecomputingGivesTheSameBits) {
  EncoderConfig config = GetParam().config();
  config.dropout = config.attention_dropout = 0.2;
  SequenceClassifier model(config, kClasses, GetParam().pool);
  randomise(model, 1);
  const TokenBatch batch = random_batch({6, 1, 5, 3}, config, 2);
  const LayerGraphs graphs = graphs_of(batch, config, GetParam().pattern);
  const auto run = [&](bool recompute) {
    model.encoder().set_recompute(recompute);
    model.zero_grad();
    const ForwardContext context{.training = true, .seed = 3, .step = 4};
    const Variable loss = cross_entropy(model.forward(batch, graphs, context), labels_of(batch));
    backward(loss);
    StateDict results = gradients_of(model);
    results["loss"] = loss.value().clone();
    return results;
  };
  const StateDict kept = run(false);
  EXPECT_EQ(kept.size(), model.named_parameters().size() + 1);
  expect_same_bits(kept, run(true));
}

// Summed losses: the gradient of a batch is the sum of its parts' gradients.
TEST_P(WholeModel, MicroBatchesEqualOneBigBatch) {
  EncoderConfig config = GetParam().config();
  config.dropout = config.attention_dropout = 0;  // its masks are keyed by the place in the batch
  SequenceClassifier model(config, kClasses, GetParam().pool, DType::f64);
  randomise(model, 1);
  const TokenBatch whole = random_batch({5, 1, 4, 6, 2, 3}, config, 2);
  const Tensor labels = labels_of(whole);
  const auto add_gradients = [&](const TokenBatch& batch, const Tensor& wanted) {
    const LayerGraphs graphs = graphs_of(batch, config, GetParam().pattern);
    const Variable loss = cross_entropy(model.forward(batch, graphs, {.training = true}), wanted);
    backward(loss);
    return loss.value().item();
  };
  const double loss = add_gradients(whole, labels);
  const StateDict want = gradients_of(model);
  model.zero_grad();

  double sum = 0;
  for (int64_t first = 0; first < labels.numel(); first += 2) {
    const int64_t* offsets = whole.offsets.data<int64_t>() + first;
    const int64_t start = offsets[0], count = offsets[2] - start;
    const TokenBatch part{
        whole.ids.slice(start, count), whole.positions.slice(start, count),
        whole.segments.defined() ? whole.segments.slice(start, count) : Tensor(),
        Tensor::from(std::vector<int64_t>{0, offsets[1] - start, offsets[2] - start})};
    sum += add_gradients(part, labels.slice(first, 2));
  }
  EXPECT_NEAR(sum, loss, 1e-12 * loss);
  for (const auto& [name, gradient] : gradients_of(model)) {
    double size = 1;
    for (const double x : want.at(name).span<double>()) size = std::max(size, std::abs(x));
    for (int64_t i = 0; i < gradient.numel(); ++i) {
      ASSERT_NEAR(gradient.at(i), want.at(name).at(i), 1e-12 * size) << name << " at " << i;
    }
  }
}

}  // namespace
}  // namespace filigree
