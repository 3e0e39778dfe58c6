// The masked language model: what it must equal, and what its loss costs and reaches.
#include "nn/masked_lm.h"

#include <cmath>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/gradient_check.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/layer_norm.h"
#include "autograd/ops/linear.h"
#include "core/error.h"
#include "nn/optimizer.h"
#include "tests/error_text.h"
#include "tests/nn/small_model.h"

namespace filigree::testing_nn {
namespace {

struct Setting {
  EncoderConfig config = small_config();
  TokenBatch batch = random_batch({5, 1, 3}, config, 4);
  LayerGraphs graphs = graphs_of(batch, config, "neighbour:2|global:first=1");
  Tensor targets = Tensor::from(std::vector<int32_t>{-1, 3, -1, -1, 0, 6, -1, 3, -1});
};

Variable parameter(const Module& model, const std::string& name) {
  for (const auto& [path, value, kind] : model.named_parameters()) {
    if (path == name) return value;
  }
  ADD_FAILURE() << name;
  return {};
}

/// cross_entropy over the whole logits, from the simple ops.
Variable loss_by_hand(const MaskedLm& model, const Variable& hidden, const Tensor& targets) {
  const auto at = [&](const char* name) { return parameter(model, name); };
  const Variable inner =
      gelu(linear(hidden, at("masked_lm.transform.weight"), at("masked_lm.transform.bias")));
  const Variable h =
      layer_norm(inner, at("masked_lm.norm.weight"), at("masked_lm.norm.bias"), 1e-12);
  return cross_entropy(linear(h, at("encoder.embeddings.token.weight"), at("masked_lm.bias")),
                       targets);
}

TEST(MaskedLm, LossAndGradientsEqualThoseOfTheWholeLogits) {
  const Setting s;
  MaskedLm model(s.config, DType::f64);
  randomise(model, 3);
  const Variable loss = model.loss(model.forward(s.batch, s.graphs, {}), s.targets);
  backward(loss);
  const StateDict chunked = gradients_of(model);
  model.zero_grad();
  const Variable whole = loss_by_hand(model, model.forward(s.batch, s.graphs, {}), s.targets);
  backward(whole);
  EXPECT_NEAR(loss.value().item(), whole.value().item(), 1e-12 * whole.value().item());
  EXPECT_EQ(chunked.size(), model.named_parameters().size());
  for (const auto& [name, gradient] : gradients_of(model)) {
    for (int64_t i = 0; i < gradient.numel(); ++i) {
      ASSERT_NEAR(gradient.at(i), chunked.at(name).at(i), 1e-11) << name;
    }
  }
}

TEST(MaskedLm, LogitsAreThoseOfTheLoss) {
  const Setting s;
  MaskedLm model(s.config, DType::f64);
  randomise(model, 3);
  const Variable hidden = model.forward(s.batch, s.graphs, {});
  const Variable logits = model.logits(hidden);
  EXPECT_EQ(logits.shape(), (Shape{9, s.config.vocabulary}));
  EXPECT_NEAR(cross_entropy(logits, s.targets).value().item(),
              model.loss(hidden, s.targets).value().item(), 1e-12);
}

// The table is one parameter: the optimizer knows it once, and its gradient has both parts.
TEST(MaskedLm, TiesTheTable) {
  const Setting s;
  MaskedLm model(s.config, DType::f64);
  randomise(model, 3);
  EXPECT_NO_THROW(make_adamw(model.named_parameters()));
  EXPECT_EQ(model.parameter_count(),
            model.encoder().parameter_count() + 8 * 8 + 8 + 2 * 8 + s.config.vocabulary);
  const Variable hidden = model.forward(s.batch, s.graphs, {});
  backward(model.loss(Variable(hidden.value()), s.targets));  // the head alone
  const Tensor head = model.encoder().token_table().grad().clone();
  model.zero_grad();
  backward(model.loss(model.forward(s.batch, s.graphs, {}), s.targets));
  const Tensor both = model.encoder().token_table().grad();
  double difference = 0, size = 0;
  for (int64_t i = 0; i < head.numel(); ++i) {
    difference += std::abs(head.at(i) - both.at(i));
    size += std::abs(head.at(i));
  }
  EXPECT_GT(size, 0.1);
  EXPECT_GT(difference, 0.1);
}

TEST(MaskedLm, TheTableHasARightGradient) {
  const Setting s;
  MaskedLm model(s.config, DType::f64);
  randomise(model, 3);
  Variable table = model.encoder().token_table();
  const Tensor start = table.value().clone();
  const auto loss_at = [&](int64_t i, double step) {
    table.value().copy_from(start);
    table.value().data<double>()[i] += step;
    return model.loss(model.forward(s.batch, s.graphs, {}), s.targets).value().item();
  };
  backward(model.loss(model.forward(s.batch, s.graphs, {}), s.targets));
  const Tensor gradient = table.grad().clone();
  for (int64_t i = 0; i < start.numel(); i += 3) {
    const double slope = (loss_at(i, 1e-5) - loss_at(i, -1e-5)) / 2e-5;
    EXPECT_NEAR(gradient.at(i), slope, 1e-6 * std::max(1.0, std::abs(slope))) << i;
  }
}

TEST(MaskedLm, NoTargetIsALossOfZeroAndAWrongOneAnError) {
  const Setting s;
  MaskedLm model(s.config);
  randomise(model, 3);
  const Variable hidden = model.forward(s.batch, s.graphs, {});
  EXPECT_EQ(model.loss(hidden, Tensor::full({9}, -1, DType::i32)).value().item(), 0);
  Tensor wrong = s.targets.clone();
  wrong.data<int32_t>()[4] = 7;
  EXPECT_NE(testing::error_of([&] { model.loss(hidden, wrong); }).find("label 7 of row 4"),
            std::string::npos);
  EXPECT_NE(testing::error_of([&] {
              model.loss(hidden, Tensor::full({8}, -1, DType::i32));
            }).find("labels"),
            std::string::npos);
}

}  // namespace
}  // namespace filigree::testing_nn
