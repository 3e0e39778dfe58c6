// The encoder and classifier against PyTorch: tests/nn/make_encoder_fixture.py made the numbers.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/ops/cross_entropy.h"
#include "core/safetensors.h"
#include "nn/classifier.h"
#include "tests/fixture_cases.h"

namespace filigree {
namespace {

const SafetensorsFile& fixture() {
  static const SafetensorsFile file(FILIGREE_SOURCE_DIR
                                    "/tests/nn/data/encoder_fixture.safetensors");
  return file;
}

/// The stored edges (head, query, key), a group a head.
AttentionGraph stored_graph(const Tensor& offsets, int heads) {
  const auto edges = fixture().tensor("edges");
  std::vector<int> group_of_head;
  for (int h = 0; h < heads; ++h) group_of_head.push_back(h);
  return AttentionGraph::from_rows(offsets, heads, group_of_head,
                                   [&](int group, int64_t, int64_t i, Runs& out) {
                                     const int32_t* edge = edges.data<int32_t>();
                                     for (int64_t e = 0; e < edges.size(0); ++e, edge += 3) {
                                       if (edge[0] == group && edge[1] == i) {
                                         append_run(out, edge[2], edge[2] + 1);
                                       }
                                     }
                                   });
}

/// The parameters of the model as PyTorch held it.
StateDict stored_parameters(const Module& model, DType dtype) {
  StateDict state;
  for (const auto& [path, parameter, kind] : model.named_parameters()) {
    state[path] = fixture().tensor("parameter." + path).to(dtype);
  }
  return state;
}

class EncoderFixture : public ::testing::TestWithParam<std::string> {
 protected:
  /// Compares everything that PyTorch computed for the case.
  void compare(DType dtype, double tolerance) {
    const auto& metadata = fixture().metadata();
    const auto config = EncoderConfig::from_json(metadata.at(GetParam() + ".config"));
    const Pool pool = metadata.at(GetParam() + ".pool") == "first" ? Pool::first : Pool::mean;
    SequenceClassifier model(config, fixture().tensor("parameter.classifier.bias").numel(), pool,
                             dtype);
    model.load_state_dict(stored_parameters(model, dtype));

    const TokenBatch batch{fixture().tensor("batch.ids"), fixture().tensor("batch.positions"),
                           fixture().tensor("batch.segments"), fixture().tensor("batch.offsets")};
    const int heads = static_cast<int>(config.heads);
    const auto graph = std::make_shared<AttentionGraph>(
        metadata.at(GetParam() + ".graph") == "dense" ? AttentionGraph::dense(batch.offsets, heads)
                                                      : stored_graph(batch.offsets, heads));
    const LayerGraphs graphs(static_cast<size_t>(config.layers), graph);
    const ForwardContext context{.training = true};

    Variables states;
    const Variable hidden = model.encoder().forward(batch, graphs, context, &states);
    for (size_t k = 0; k < states.size(); ++k) {
      expect_equals("state." + std::to_string(k), states[k].value(), tolerance);
    }
    expect_equals("hidden", hidden.value(), tolerance);
    const Variable logits = model.forward(batch, graphs, context);
    expect_equals("logits", logits.value(), tolerance);
    const Variable loss = cross_entropy(logits, fixture().tensor("batch.labels"), {.mean = true});
    expect_equals("loss", loss.value(), tolerance);
    backward(loss);
    int64_t gradients = 0;
    for (const auto& [path, parameter, kind] : model.named_parameters()) {
      ASSERT_TRUE(parameter.grad().defined()) << path;
      expect_equals("gradient." + path, parameter.grad(), tolerance);
      ++gradients;
    }
    EXPECT_EQ(gradients, stored_gradients());
    RecordProperty("largest_deviation", fmt::format("{:.3g} in {}", worst_, worst_name_));
  }

 private:
  void expect_equals(const std::string& name, const Tensor& got, double tolerance) {
    const Tensor want = fixture().tensor(GetParam() + "." + name);
    ASSERT_EQ(got.shape(), want.shape()) << name;
    const double found = testing::deviation(got, want);
    EXPECT_LE(found, tolerance) << name;
    if (!(found <= worst_)) {
      worst_ = found;
      worst_name_ = name;
    }
  }
  /// PyTorch has a gradient for these and no other parameters.
  int64_t stored_gradients() const {
    return std::count_if(
        fixture().entries().begin(), fixture().entries().end(),
        [](const auto& entry) { return entry.first.starts_with(GetParam() + ".gradient."); });
  }

  double worst_ = 0;
  std::string worst_name_;
};
INSTANTIATE_TEST_SUITE_P(PyTorch, EncoderFixture,
                         ::testing::ValuesIn(testing::case_names_of(fixture())),
                         [](const auto& info) { return info.param; });

TEST_P(EncoderFixture, AgreesInDouble) { compare(DType::f64, 1e-10); }
TEST_P(EncoderFixture, AgreesInSingle) { compare(DType::f32, 1e-5); }

// What the cases are meant to cover is really in the stored graph.
TEST(EncoderFixtureData, HasAnEmptyRowAndALoneToken) {
  const Tensor offsets = fixture().tensor("batch.offsets");
  const AttentionGraph graph = stored_graph(offsets, 4);
  EXPECT_GE(graph.empty_rows(), 1);
  EXPECT_EQ(graph.edges(0) + graph.edges(1) + graph.edges(2) + graph.edges(3),
            fixture().tensor("edges").size(0));
  bool alone = false;
  for (int64_t b = 0; b + 1 < offsets.numel(); ++b) {
    alone |= offsets.at(b + 1) - offsets.at(b) == 1;
  }
  EXPECT_TRUE(alone);
}

}  // namespace
}  // namespace filigree
