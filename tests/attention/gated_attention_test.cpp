// gated_attention against its dense reference and against finite differences.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/attention/gated_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

/// sum of o times the seed.
double loss(const GatedCase& c) {
  const Variable o =
      gated_attention(Variable(c.inputs.q), Variable(c.inputs.k), Variable(c.inputs.v),
                      c.inputs.graph, {Variable(c.g), c.always}, c.inputs.options,
                      c.inputs.bias.defined() ? Variable(c.inputs.bias) : Variable());
  double total = 0;
  for (int64_t e = 0; e < o.value().numel(); ++e) total += o.value().at(e) * c.inputs.seed.at(e);
  return total;
}

/// dL/dx of one entry of g, by differences of fourth order: central ones, and one-sided ones where
/// g may go to one side only (0 and 1).
double difference(GatedCase c, int64_t entry) {
  c.g = c.g.clone();
  double& g = c.g.data<double>()[entry];
  const double at = g, h = 2e-5;  // u h must be small, and u is in the hundreds
  const auto value = [&](double step) {
    g = at + step * h;
    return loss(c);
  };
  if (at >= 2 * h && at <= 1 - 2 * h) {
    return (value(-2) - 8 * value(-1) + 8 * value(1) - value(2)) / (12 * h);
  }
  const double side = at < 0.5 ? 1 : -1;
  return side *
         (-25 * value(0) + 48 * value(side) - 36 * value(2 * side) + 16 * value(3 * side) -
          3 * value(4 * side)) /
         (12 * h);
}

class GatedAttention : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(EveryKind, GatedAttention,
                         testing::Values(Kind::intervals, Kind::scattered, Kind::mixed));

TEST_P(GatedAttention, EqualsItsReference) {
  RandomStream random(31, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 20; ++trial) {
    GatedCase c = random_gated_case(random, GetParam(), trial < 18 ? 40 : 200);
    const Tensors want = run(gated_attention_reference, c);
    for (const auto& [kernel, name, device] : ways()) {
      c.inputs.use(kernel, device);
      expect_close(run(gated_attention, c), want, 1e-10, name);
    }
  }
}

TEST_P(GatedAttention, GradientOfTheGateIsThatOfDifferences) {
  RandomStream random(32, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 10; ++trial) {
    GatedCase c = random_gated_case(random, GetParam(), 9);
    c.inputs.use_nth(trial);
    const Tensor gradient = run(gated_attention, c)[4];
    for (int64_t e = 0; e < c.g.numel(); ++e) {
      const double want = difference(c, e);
      EXPECT_NEAR(gradient.at(e), want, 1e-6 * std::max(1.0, std::abs(want)))
          << "g = " << c.g.at(e) << " at distance " << e % c.g.size(1);
    }
  }
}

TEST_P(GatedAttention, SinglePrecisionIsCloseToDouble) {
  RandomStream random(33, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 10; ++trial) {
    GatedCase c = random_gated_case(random, GetParam(), 60);
    const Tensors want = run(gated_attention, c);
    Case& in = c.inputs;
    for (Tensor* tensor : {&in.q, &in.k, &in.v, &in.bias, &in.seed, &c.g}) {
      if (tensor->defined()) *tensor = tensor->to(DType::f32);
    }
    for (const auto& [kernel, name, device] : ways()) {
      in.use(kernel, device);
      expect_close(run(gated_attention, c), want, 5e-5, name);
    }
  }
}

TEST_P(GatedAttention, SameBitsOnAnyNumberOfThreads) {
  RandomStream random(34, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 8; ++trial) {
    GatedCase c = random_gated_case(random, GetParam(), trial < 6 ? 150 : 400);
    c.inputs.use_nth(trial);
    const int before = thread_count();
    set_thread_count(1);
    const Tensors one = run(gated_attention, c);
    set_thread_count(2);
    const Tensors two = run(gated_attention, c), again = run(gated_attention, c);
    set_thread_count(before);
    expect_same_bits(one, two, "1 and 2 threads");
    expect_same_bits(two, again, "twice");
  }
}

// A gate of 1 everywhere is no gate; one of 0 leaves what is always on.
TEST_P(GatedAttention, OpenAndClosedGatesAreGraphs) {
  RandomStream random(35, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 10; ++trial) {
    GatedCase c = random_gated_case(random, GetParam(), 50);
    const AttentionGraph& graph = *c.inputs.graph;
    c.g = Tensor({graph.heads(), 60}, DType::f64);
    c.g.fill(1);
    Tensors open = run(gated_attention, c);
    open.erase(open.begin() + 4);  // the gradient of g
    expect_close(open, testing_attention::run(sparse_attention, c.inputs), 1e-10, "open");
    c.g.fill(0);
    Tensors closed = run(gated_attention, c);
    closed.erase(closed.begin() + 4);
    Case left = c.inputs;
    std::vector<int> groups;
    for (int h = 0; h < graph.heads(); ++h) groups.push_back(graph.group_of_head(h));
    const int64_t* offsets = graph.offsets().data<int64_t>();
    left.graph = std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
        graph.offsets(), graph.groups(), groups, [&](int g, int64_t b, int64_t i, Runs& out) {
          const auto whole = [&](int64_t token) {
            if (!c.always) return false;
            const auto tokens = c.always->of(b);
            return std::find(tokens.begin(), tokens.end(), token - offsets[b]) != tokens.end();
          };
          for (const int32_t j : graph.row(g, i)) {
            if (i == j || whole(i) || whole(j)) append_run(out, j, j + 1);
          }
        }));
    expect_close(closed, testing_attention::run(sparse_attention, left), 1e-10, "closed");
  }
}

// Divided sequences (2048 tokens and more) add up their parts.
TEST(GatedAttention, LongSequencesEqualTheRowsKernel) {
  RandomStream random(36, Purpose::test, {});
  GatedCase c{random_case(random, Kind::intervals, 40, DType::f64), {}, nullptr};
  const int64_t n = 2300, heads = 2, dim = 8, reach = 20;
  std::vector<int32_t> reaches(static_cast<size_t>(2 * n), static_cast<int32_t>(reach));
  const Tensor bound = Tensor::from(reaches).view({2, n});
  c.inputs.graph = std::make_shared<AttentionGraph>(
      AttentionGraph::from_reaches(Tensor::from(std::vector<int64_t>{0, n}), bound, bound, {0, 1}));
  for (Tensor* tensor : {&c.inputs.q, &c.inputs.k, &c.inputs.v, &c.inputs.seed}) {
    *tensor = random_tensor(random, {n, heads * dim}, DType::f64);
  }
  c.inputs.bias = Tensor();
  c.g = Tensor({heads, reach + 1}, DType::f64);
  for (double& g : c.g.span<double>()) g = random.below(3) == 0 ? 0 : random.uniform();
  c.always = std::make_shared<AlwaysOn>(AlwaysOn{{0, 2}, {0, 1000}});
  c.inputs.options.kernel = AttentionKernel::rows;
  const Tensors want = run(gated_attention, c);
  for (const auto& [kernel, name, device] : ways()) {
    c.inputs.use(kernel, device);
    expect_close(run(gated_attention, c), want, 1e-10, name);
  }
}

// A closed edge whose score is far above all others: its exponent is cut at 30.
TEST(GatedAttention, ClosedEdgesOfAnyScoreGiveFiniteGradients) {
  for (const auto& [kernel, name, device] : ways()) {
    GatedCase c;
    c.inputs.graph = std::make_shared<AttentionGraph>(
        AttentionGraph::dense(Tensor::from(std::vector<int64_t>{0, 2}), 1));
    c.inputs.q = Tensor::from(std::vector<float>{1e4F, 1}).view({2, 1});
    c.inputs.k = Tensor::from(std::vector<float>{0, 1e4F}).view({2, 1});
    c.inputs.v = Tensor::from(std::vector<float>{1, 2}).view({2, 1});
    c.inputs.seed = Tensor::from(std::vector<float>{1, 0}).view({2, 1});
    c.inputs.use(kernel, device);
    c.g = Tensor::zeros({1, 2}, DType::f32);
    const Tensors got = run(gated_attention, c);
    EXPECT_EQ(got[0].at(0), 1) << name;  // nothing passes
    // u = e^30, dP - Delta = 2 - 1.
    EXPECT_NEAR(got[4].at(1) / std::exp(30.0), 1, 1e-5) << name;
    EXPECT_EQ(got[4].at(0), 0) << name;
  }
}

// What a closed or unreachable pair holds may overflow: nothing of it passes.
TEST(GatedAttention, WhatOverflowsBehindAClosedGateDoesNotPass) {
  for (const auto& [kernel, name, device] : ways()) {
    for (const int64_t span : {2, 1}) {  // the pair is closed; the pair is out of reach
      GatedCase c;
      c.inputs.graph = std::make_shared<AttentionGraph>(
          AttentionGraph::dense(Tensor::from(std::vector<int64_t>{0, 2}), 1));
      c.inputs.q = Tensor::from(std::vector<float>{1e20F, 0}).view({2, 1});
      c.inputs.k = Tensor::from(std::vector<float>{0, 1e20F}).view({2, 1});
      c.inputs.v = Tensor::from(std::vector<float>{1, 3e38F}).view({2, 1});
      c.inputs.seed = Tensor::from(std::vector<float>{100, 0}).view({2, 1});
      c.inputs.use(kernel, device);
      c.g = Tensor::zeros({1, span}, DType::f32);
      const Tensors got = run(gated_attention, c);
      EXPECT_EQ(got[0].at(0), 1) << name;
      if (span == 1) {
        for (const size_t result : {1, 2}) {
          EXPECT_EQ(got[result].at(0), 0) << name;
          EXPECT_EQ(got[result].at(1), 0) << name;
        }
        EXPECT_EQ(got[3].at(0), 100) << name;
        EXPECT_EQ(got[3].at(1), 0) << name;
      }
    }
  }
}

// A row without an edge to itself whose edges are all closed is empty.
TEST(GatedAttention, RowsWhereNothingPassesGiveZero) {
  RandomStream random(38, Purpose::test);
  for (const auto& [kernel, name, device] : ways()) {
    GatedCase c;
    const std::vector<int64_t> offsets{0, 9};
    c.inputs.graph = std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
        Tensor::from(offsets), 1, {0}, [](int, int64_t, int64_t i, Runs& out) {
          if (i == 4) {
            append_run(out, 2, 4);  // distances 2 and 1
          } else {
            append_run(out, 0, 9);
          }
        }));
    for (Tensor* tensor : {&c.inputs.q, &c.inputs.k, &c.inputs.v, &c.inputs.seed}) {
      *tensor = random_tensor(random, {9, 5}, DType::f64);
    }
    c.inputs.use(kernel, device);
    c.g = Tensor::from(std::vector<double>{1, 0, 0, 0.5, 0.25}).view({1, 5});
    const Tensors got = run(gated_attention, c);
    for (int64_t d = 0; d < 5; ++d) {
      EXPECT_EQ(got[0].at(4 * 5 + d), 0) << name;
      EXPECT_EQ(got[1].at(4 * 5 + d), 0) << name;
    }
    expect_close(got, run(gated_attention_reference, c), 1e-10, name);
  }
}

TEST(GatedAttention, RefusesWhatDoesNotFit) {
  RandomStream random(37, Purpose::test, {});
  const GatedCase good = random_gated_case(random, Kind::mixed, 20);
  const auto attempt = [&](const Tensor& g, std::shared_ptr<AlwaysOn> always) {
    GatedCase c = good;
    c.g = g;
    c.always = std::move(always);
    run(gated_attention, c);
  };
  const int64_t heads = good.inputs.graph->heads(), sequences = good.inputs.graph->sequences();
  const auto filled = [&](int64_t rows, double value, DType dtype = DType::f64) {
    Tensor g({rows, 4}, dtype);
    g.fill(value);
    return g;
  };
  EXPECT_NO_THROW(attempt(filled(heads, 0.5), nullptr));
  EXPECT_THROW(attempt(filled(heads + 1, 0.5), nullptr), ShapeError);
  EXPECT_THROW(attempt(Tensor::zeros({heads}, DType::f64), nullptr), ShapeError);
  EXPECT_THROW(attempt(filled(heads, 0.5, DType::f32), nullptr), DTypeError);
  EXPECT_THROW(attempt(filled(heads, 1.5), nullptr), NumericError);
  EXPECT_THROW(attempt(filled(heads, -0.1), nullptr), NumericError);
  EXPECT_THROW(attempt(filled(heads, std::nan("")), nullptr), NumericError);
  const std::vector<int64_t> none(static_cast<size_t>(sequences + 1), 0);
  std::vector<int64_t> one = none;
  one.back() = 1;
  const auto always = [](std::vector<int64_t> bounds, std::vector<int32_t> tokens) {
    return std::make_shared<AlwaysOn>(AlwaysOn{std::move(bounds), std::move(tokens)});
  };
  EXPECT_NO_THROW(attempt(filled(heads, 0.5), always(none, {})));
  EXPECT_NO_THROW(attempt(filled(heads, 0.5), always(one, {0})));
  EXPECT_THROW(attempt(filled(heads, 0.5), always({0}, {})), ShapeError);
  EXPECT_THROW(attempt(filled(heads, 0.5), always(none, {0})), ShapeError);
  EXPECT_THROW(attempt(filled(heads, 0.5), always(one, {-1})), ShapeError);
  EXPECT_THROW(attempt(filled(heads, 0.5), always(one, {1000000})), ShapeError);
}

}  // namespace

}  // namespace filigree
