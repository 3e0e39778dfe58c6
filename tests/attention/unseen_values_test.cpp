// What no query sees reaches nothing, whatever it is; what some see reaches them alone.
#include <gtest/gtest.h>
#include <limits>

#include "core/error.h"
#include "tests/attention/attention_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

class UnseenValues : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(SparseAttention, UnseenValues,
                         testing::Values(Kind::intervals, Kind::scattered, Kind::mixed));

// A NaN or Inf in a key or value that no query sees reaches nothing.
TEST_P(UnseenValues, UnseenNaNsReachNothing) {
  RandomStream random(15, Purpose::test, {static_cast<uint64_t>(GetParam())});
  int hidden = 0;
  for (int trial = 0; trial < 30; ++trial) {
    Case c = random_case(random, GetParam(), 30, DType::f64);
    c.use_nth(trial);
    const int heads = c.graph->heads();
    const int64_t dim = c.q.size(1) / heads;
    const Tensors clean = run(sparse_attention, c);
    for (int h = 0; h < heads; ++h) {
      std::vector<bool> seen(static_cast<size_t>(c.graph->tokens()));
      for (int64_t i = 0; i < c.graph->tokens(); ++i) {
        for (const int32_t j : c.graph->row(c.graph->group_of_head(h), i)) {
          seen[static_cast<size_t>(j)] = true;
        }
      }
      for (int64_t j = 0; j < c.graph->tokens(); ++j) {
        if (seen[static_cast<size_t>(j)]) continue;
        ++hidden;
        for (int64_t d = 0; d < dim; ++d) {
          c.k.data<double>()[j * heads * dim + h * dim + d] = std::nan("");
          c.v.data<double>()[j * heads * dim + h * dim + d] =
              std::numeric_limits<double>::infinity();
        }
      }
    }
    expect_close(run(sparse_attention, c), clean, 1e-12, "with NaN");
    expect_close(run(attention_reference, c), clean, 1e-10, "reference with NaN");
  }
  EXPECT_GT(hidden, 0);
}

// Values that nobody sees may be so large that <do, v> overflows.
TEST_P(UnseenValues, UnseenHugeValuesReachNothing) {
  for (const auto& [kernel, name, device] : ways()) {
    const Tensor offsets = Tensor::from(std::vector<int64_t>{0, 40});
    const auto graph = std::make_shared<AttentionGraph>(
        AttentionGraph::from_rows(offsets, 1, {0}, [](int, int64_t, int64_t i, Runs& out) {
          append_run(out, i < 8 ? 0 : i == 20 ? 19 : i - 8, i < 20 ? i + 1 : 20);
          if (i > 20) append_run(out, 21, i + 1);
        }));
    RandomStream random(16, Purpose::test, {static_cast<uint64_t>(GetParam())});
    Case c = random_case(random, GetParam(), 30, DType::f32);
    c.graph = graph;
    c.use(kernel, device);
    c.options.dropout = GetParam() == Kind{} ? 0.3 : 0;
    c.bias = {};
    for (Tensor* x : {&c.q, &c.k, &c.v, &c.seed}) {
      *x = Tensor({40, 16}, DType::f32);
      for (float& value : x->span<float>()) value = static_cast<float>(random.normal());
    }
    const Tensors clean = run(sparse_attention, c);
    for (int64_t d = 0; d < 16; ++d) {
      c.v.data<float>()[20 * 16 + d] = std::numeric_limits<float>::max();
      c.k.data<float>()[20 * 16 + d] = std::numeric_limits<float>::max();
    }
    const Tensors got = run(sparse_attention, c);
    for (size_t k = 0; k < got.size(); ++k) {
      for (int64_t e = 0; e < got[k].numel(); ++e) {
        ASSERT_EQ(got[k].at(e), clean[k].at(e)) << name << ", tensor " << k << " at " << e;
      }
    }
  }
}

// Scores of -inf count as no edge, for every kernel and the reference.
TEST(SparseAttention, RowsWhoseScoresAreAllMinusInfinityAreEmpty) {
  const Tensor offsets = Tensor::from(std::vector<int64_t>{0, 9});
  const auto graph = std::make_shared<AttentionGraph>(AttentionGraph::dense(offsets, 1));
  Tensor q({9, 16}, DType::f64), bias = Tensor::full({1, 1}, 0, DType::f64);
  RandomStream random(21, Purpose::test);
  for (double& value : q.span<double>()) value = random.normal();
  Tensor k = q.clone();
  for (int64_t d = 0; d < 16; ++d) q.data<double>()[4 * 16 + d] = d == 0 ? -1 : 0;
  for (int64_t j = 0; j < 9; ++j) {
    k.data<double>()[j * 16] = std::numeric_limits<double>::infinity();
    for (int64_t d = 1; d < 16; ++d) k.data<double>()[j * 16 + d] = 0;
  }
  for (const auto& [kernel, name, device] : ways()) {
    AttentionOptions options;
    options.kernel = kernel;
    const Tensor o = sparse_attention(Variable(q.to(device)), Variable(k.to(device)),
                                      Variable(q.to(device)), graph, options)
                         .value()
                         .to(kCpu);
    const Tensor want = attention_reference(Variable(q), Variable(k), Variable(q), graph).value();
    for (int64_t d = 0; d < 16; ++d) {
      EXPECT_EQ(o.at(4 * 16 + d), 0) << name;
      EXPECT_EQ(want.at(4 * 16 + d), 0);
    }
  }
}

TEST(SparseAttention, ScalesThatMakeNoSenseAreRefused) {
  const auto graph = std::make_shared<AttentionGraph>(
      AttentionGraph::dense(Tensor::from(std::vector<int64_t>{0, 2}), 1));
  const Variable x(Tensor::full({2, 4}, 1, DType::f32));
  for (const double scale : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    AttentionOptions options;
    options.scale = scale;
    EXPECT_THROW(sparse_attention(x, x, x, graph, options), ConfigError);
    EXPECT_THROW(attention_reference(x, x, x, graph, options), ConfigError);
  }
  EXPECT_THROW(attention_reference(x, x, x, nullptr), ShapeError);
}

/// A case with and without a NaN in one entry of one of its tensors: token `bad`, head `bad_head`.
struct Poisoned {
  Case c;
  Tensors clean, got;
  int64_t bad;
  int bad_head;
};

Poisoned poisoned(RandomStream& random, int trial, Tensor Case::*tensor) {
  Poisoned p;
  p.c = random_case(random, static_cast<Kind>(trial % 3), 60, DType::f64);
  p.c.use_nth(trial);
  p.c.options.dropout = 0;
  p.clean = run(sparse_attention, p.c);
  const auto heads = static_cast<uint64_t>(p.c.graph->heads());
  p.bad = static_cast<int64_t>(random.below(static_cast<uint64_t>(p.c.graph->tokens())));
  p.bad_head = static_cast<int>(random.below(heads));
  const int64_t width = p.c.q.size(1), dim = width / static_cast<int64_t>(heads);
  (p.c.*tensor).data<double>()[p.bad * width + p.bad_head * dim] = std::nan("");
  p.got = run(sparse_attention, p.c);
  return p;
}

// A NaN in a value that some rows see: exactly their outputs and gradients are NaN, and its own.
TEST(SparseAttention, ANaNReachesThoseWhoSeeItAndNobodyElse) {
  RandomStream random(19, Purpose::test);
  for (int trial = 0; trial < 40; ++trial) {
    const auto [c, clean, got, bad, bad_head] = poisoned(random, trial, &Case::v);
    const int heads = c.graph->heads();
    const int64_t dim = c.q.size(1) / heads, tokens = c.graph->tokens();
    for (int64_t i = 0; i < tokens; ++i) {
      for (int h = 0; h < heads; ++h) {
        const auto row = c.graph->row(c.graph->group_of_head(h), i);
        const bool sees = h == bad_head && std::find(row.begin(), row.end(), bad) != row.end();
        for (int64_t d = 0; d < dim; ++d) {
          const int64_t at = i * heads * dim + h * dim + d;
          if (sees && d == 0) {
            EXPECT_TRUE(std::isnan(got[0].at(at))) << "row " << i;
          } else {
            EXPECT_NEAR(got[0].at(at), clean[0].at(at), 1e-10) << "row " << i;
          }
          // Its gradient flows through the scores of its own head alone.
          if (h != bad_head) {
            EXPECT_NEAR(got[1].at(at), clean[1].at(at), 1e-10) << "gradient of row " << i;
          } else if (!sees) {
            EXPECT_FALSE(std::isnan(got[1].at(at))) << "gradient of row " << i;
          }
        }
      }
    }
  }
}

// A NaN in a key: the rows that see it are NaN, and so is what they give to the keys they see; all
// else stays as it was.
TEST(SparseAttention, ANaNInAKeyReachesThoseWhoSeeItAndNobodyElse) {
  RandomStream random(20, Purpose::test);
  for (int trial = 0; trial < 40; ++trial) {
    const auto [c, clean, got, bad, bad_head] = poisoned(random, trial, &Case::k);
    const int heads = c.graph->heads();
    const int64_t dim = c.q.size(1) / heads, tokens = c.graph->tokens();
    for (int h = 0; h < heads; ++h) {
      std::vector<bool> sees(static_cast<size_t>(tokens)), touched(static_cast<size_t>(tokens));
      for (int64_t i = 0; h == bad_head && i < tokens; ++i) {
        const auto row = c.graph->row(c.graph->group_of_head(h), i);
        sees[static_cast<size_t>(i)] = std::find(row.begin(), row.end(), bad) != row.end();
        for (const int32_t j : row) {
          if (sees[static_cast<size_t>(i)]) touched[static_cast<size_t>(j)] = true;
        }
      }
      for (int64_t i = 0; i < tokens; ++i) {
        for (int64_t d = 0; d < dim; ++d) {
          const int64_t at = i * heads * dim + h * dim + d;
          for (const size_t result : {0, 1, 2, 3}) {  // o, dq, dk, dv
            const bool nan = (result < 2 ? sees : touched)[static_cast<size_t>(i)];
            if (nan) {
              EXPECT_TRUE(std::isnan(got[result].at(at))) << result << " of row " << i;
            } else {
              EXPECT_NEAR(got[result].at(at), clean[result].at(at), 1e-10)
                  << result << " of row " << i;
            }
          }
        }
      }
    }
  }
}

// A score that overflows though query and key are finite: the same, with every kernel.
TEST(SparseAttention, AScoreThatOverflowsStaysInItsRow) {
  constexpr int64_t n = 24, dim = 16, bad = 9;
  const std::vector<int32_t> ones(n, 1);
  const Tensor reach = Tensor::from(ones).view({1, n});
  const auto graph = std::make_shared<AttentionGraph>(
      AttentionGraph::from_reaches(Tensor::from(std::vector<int64_t>{0, n}), reach, reach, {0}));
  RandomStream random(21, Purpose::test);
  Case c;
  c.graph = graph;
  for (Tensor* tensor : {&c.q, &c.k, &c.v, &c.seed}) {
    *tensor = random_tensor(random, {n, dim}, DType::f32);
  }
  for (const auto& [kernel, name, device] : ways()) {
    Case wrong = c;
    wrong.use(kernel, device);
    const Tensors clean = run(sparse_attention, wrong);
    wrong.q = c.q.clone();
    wrong.k = c.k.clone();
    wrong.q.data<float>()[bad * dim] = wrong.k.data<float>()[bad * dim] = 1e20F;
    const Tensors got = run(sparse_attention, wrong);
    EXPECT_TRUE(std::isnan(got[0].at(bad * dim))) << name;
    for (int64_t i = 0; i < n; ++i) {
      if (std::abs(i - bad) <= 2) continue;  // sees the key or is seen by such a row
      for (int64_t d = 0; d < dim; ++d) {
        for (const size_t result : {0, 1, 2, 3}) {
          EXPECT_NEAR(got[result].at(i * dim + d), clean[result].at(i * dim + d), 1e-5)
              << name << ", " << result << " of row " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace filigree
