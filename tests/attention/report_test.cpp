// Degrees, flow, spectra and attention statistics against plain definitions.
#include <Eigen/Dense>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attention/placement.h"
#include "attention/report/attention_statistics.h"
#include "attention/report/degrees.h"
#include "attention/report/flow.h"
#include "core/allocator.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace filigree {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

LayerGraphs graphs_of(const std::string& pattern, const std::vector<int64_t>& offsets,
                      int layers = 1, int heads = 1, const std::string& placed = "all") {
  SequenceBatch batch;
  batch.offsets = Tensor::from(offsets);
  return AttentionPlan(pattern, placed, "all", layers, heads).build(batch, 1, 0);
}

const std::vector<std::string> kPatterns{
    "dense",      "neighbour:2",        "random:3",
    "global:cls", "block:4 | random:1", "dilated:2,3",
    "self",       "random:2 - self",    "neighbour:1,0 | global:first=1"};
const std::vector<int64_t> kOffsets{0, 17, 18, 18, 41};

bool sees(const AttentionGraph& graph, int head, int64_t i, int64_t j) {
  const auto row = graph.row(graph.group_of_head(head), i);
  return std::find(row.begin(), row.end(), j) != row.end();
}

}  // namespace

TEST(Degrees, NodeAndEdgePerspective) {
  std::vector<int64_t> degrees;  // the ensemble p = {2: .5, 3: .3, 8: .2}
  degrees.insert(degrees.end(), 5, 2);
  degrees.insert(degrees.end(), 3, 3);
  degrees.insert(degrees.end(), 2, 8);
  const DegreeDistribution d = distribution_of(degrees);
  EXPECT_THAT(d.degree, ElementsAre(2, 3, 8));
  EXPECT_THAT(d.node, Pointwise(DoubleNear(1e-12), {0.5, 0.3, 0.2}));
  EXPECT_THAT(d.edge, Pointwise(DoubleNear(1e-6), {0.285714, 0.257143, 0.457143}));
  EXPECT_DOUBLE_EQ(d.mean, 3.5);
  EXPECT_EQ(d.quantile(0.5), 2);
  EXPECT_EQ(d.quantile(0.8), 3);
  EXPECT_EQ(d.quantile(1), 8);
  EXPECT_TRUE(distribution_of({}).degree.empty());
  EXPECT_THAT(distribution_of(std::vector<int64_t>{0, 0}).edge, ElementsAre(0));
}

TEST(Degrees, CountRowsAndColumns) {
  for (const std::string& pattern : kPatterns) {
    SCOPED_TRACE(pattern);
    const auto graph = graphs_of(pattern, kOffsets, 1, 2).front();
    for (int head = 0; head < 2; ++head) {
      const auto rows = row_degrees(*graph, head), columns = column_degrees(*graph, head);
      std::vector<int64_t> want_rows(41), want_columns(41);
      for (int64_t i = 0; i < 41; ++i) {
        for (int64_t j = 0; j < 41; ++j) {
          if (!sees(*graph, head, i, j)) continue;
          ++want_rows[static_cast<size_t>(i)];
          ++want_columns[static_cast<size_t>(j)];
        }
      }
      EXPECT_EQ(rows, want_rows);
      EXPECT_EQ(columns, want_columns);
    }
  }
}

TEST(Flow, ReachIsThatOfMatrixProducts) {
  for (const std::string& pattern : kPatterns) {
    SCOPED_TRACE(pattern);
    const LayerGraphs graphs = graphs_of(pattern, kOffsets, 3, 2);
    for (const int64_t position : {int64_t{0}, int64_t{5}}) {
      const Reach reach = reach_of(graphs, position);
      ASSERT_EQ(reach.tokens.size(), 4u);
      std::vector<int64_t> unreachable;
      for (size_t b = 0; b + 1 < kOffsets.size(); ++b) {
        const int64_t first = kOffsets[b], n = kOffsets[b + 1] - first;
        Eigen::VectorXd in = Eigen::VectorXd::Zero(n);
        if (position < n) in[position] = 1;
        for (size_t depth = 0; depth <= 3; ++depth) {
          if (depth > 0) {
            const AttentionGraph& graph = *graphs[3 - depth];
            Eigen::MatrixXd flow = Eigen::MatrixXd::Identity(n, n);
            for (int64_t i = 0; i < n; ++i) {
              for (int64_t j = 0; j < n; ++j) {
                for (int head = 0; head < 2; ++head)
                  flow(j, i) += sees(graph, head, first + i, first + j);
              }
            }
            in = (flow * in).cwiseMin(1).eval();
          }
          EXPECT_EQ(reach.tokens[depth][b], static_cast<int64_t>(in.sum())) << "depth " << depth;
        }
        for (int64_t i = 0; i < n && position < n; ++i) {
          if (in[i] == 0) unreachable.push_back(first + i);
        }
      }
      EXPECT_EQ(reach.unreachable, unreachable);
    }
  }
}

TEST(Flow, WarnsWhereTheFirstTokenMissesSome) {
  EXPECT_THAT(flow_warning(graphs_of("neighbour:1", kOffsets, 4), "neighbour:1"),
              HasSubstr("30 of 41 tokens, in 2 of 4 sequences"));
  EXPECT_EQ(flow_warning(graphs_of("neighbour:1 | global:cls", kOffsets, 4), ""), "");
  EXPECT_EQ(flow_warning(graphs_of("neighbour:1", kOffsets, 4, 1, "last:3"), ""), "");  // one dense
  EXPECT_EQ(flow_warning(graphs_of("neighbour:6", kOffsets, 4), ""), "");
}

TEST(Flow, Components) {
  const Components blocks = components_of(*graphs_of("block:4", {0, 10, 10, 14}).front());
  EXPECT_THAT(blocks.count, ElementsAre(3, 0, 1));
  EXPECT_THAT(blocks.largest, ElementsAre(4, 0, 4));
  EXPECT_THAT(components_of(*graphs_of("self", {0, 5}).front()).count, ElementsAre(5));
  EXPECT_THAT(components_of(*graphs_of("dilated:1,2", {0, 9}).front()).count, ElementsAre(2));
  EXPECT_THAT(components_of(*graphs_of("neighbour:1,0", {0, 9}).front()).count, ElementsAre(1));
}

TEST(Flow, SpectralGapIsThatOfADenseSolver) {
  EXPECT_NEAR(spectral_gap(*graphs_of("dense", {0, 12}).front(), 0), 1, 1e-6);
  EXPECT_NEAR(spectral_gap(*graphs_of("block:6", {0, 12}).front(), 0), 0, 1e-6);
  EXPECT_EQ(spectral_gap(*graphs_of("dense", {0, 1}).front(), 0), 1);
  EXPECT_EQ(spectral_gap(*graphs_of("dense", {0, 0}).front(), 0), 0);
  // A cycle with self-edges has the eigenvalues (1 + 2 cos(2 pi k / n)) / 3.
  const int64_t n = 20;
  const AttentionGraph cycle = AttentionGraph::from_rows(
      Tensor::from(std::vector<int64_t>{0, n}), 1, {0},
      [&](int, int64_t, int64_t i, Runs& out) { append_run(out, (i + 1) % n, (i + 1) % n + 1); });
  EXPECT_NEAR(spectral_gap(cycle, 0), 2 * (1 - std::cos(2 * M_PI / n)) / 3, 1e-6);
  for (const char* pattern : {"neighbour:1", "neighbour:3", "random:2", "global:cls", "dilated:2,5",
                              "block:9 | random:1"}) {
    for (const int64_t length : {2, 3, 60, 200}) {
      const auto graph = graphs_of(pattern, {0, length}, 1, 2).front();
      Eigen::MatrixXd a = Eigen::MatrixXd::Identity(length, length);
      for (int64_t i = 0; i < length; ++i) {
        for (int64_t j = 0; j < length; ++j) {
          for (int head = 0; head < 2; ++head) {
            if (sees(*graph, head, i, j)) a(i, j) = a(j, i) = 1;
          }
        }
      }
      const Eigen::VectorXd root = a.rowwise().sum().cwiseSqrt().cwiseInverse();
      const Eigen::VectorXd values =
          Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(root.asDiagonal() * a * root.asDiagonal())
              .eigenvalues();
      EXPECT_NEAR(spectral_gap(*graph, 0), 1 - values[length - 2], 2e-6)
          << pattern << ", " << length;
    }
  }
}

// Of a complete graph no edge is held by itself.
TEST(Flow, SpectralGapOfManyTokens) {
  EXPECT_NEAR(spectral_gap(*graphs_of("block:4000", {0, 4000}).front(), 0), 1, 1e-6);
}

TEST(Flow, RowsThatSeeNothingAreCounted) {
  EXPECT_EQ(empty_rows_warning(graphs_of("neighbour:1", {0, 5}, 2), "neighbour:1"), "");
  EXPECT_THAT(
      empty_rows_warning(graphs_of("causal-self|noself", {0, 5, 9}, 2, 3), "the pattern"),
      testing::AllOf(testing::HasSubstr("12 of 54 rows"), testing::HasSubstr("the pattern")));
}

TEST(Flow, GraphsOverOtherSequencesAreRefused) {
  LayerGraphs graphs = graphs_of("dense", {0, 5, 9});
  graphs.push_back(graphs_of("dense", {0, 4, 9}).front());
  EXPECT_THROW(reach_of(graphs), ShapeError);
  const AttentionInputs in{Tensor::full({9, 3}, 0, DType::f32), graphs[0], {}, 0};
  EXPECT_THROW(attention_statistics(in, 1, {graphs[1]}), ShapeError);
}

class Statistics : public ::testing::TestWithParam<DType> {};

TEST_P(Statistics, AreThoseOfTheWholeMatrix) {
  constexpr int kHeads = 2;
  constexpr int64_t kDim = 3, kReach = 4, kTokens = 41;
  RandomStream random(9, Purpose::test);
  const auto made = [&](const Shape& shape) {
    Tensor tensor(shape, DType::f64);
    for (double& value : tensor.span<double>()) value = random.normal();
    return tensor.to(GetParam());
  };
  for (const std::string& pattern : kPatterns) {
    SCOPED_TRACE(pattern);
    const auto graph = graphs_of(pattern, kOffsets, 1, kHeads).front();
    const auto candidate = graphs_of("neighbour:1 | random:2", kOffsets, 1, kHeads).front();
    const AttentionInputs in{made({kTokens, 3 * kHeads * kDim}), graph, made({kHeads, 5}), 0.7};
    const auto got = attention_statistics(in, kReach, {candidate, graph});
    int64_t rows_seen = 0;
    for (int h = 0; h < kHeads; ++h) {
      double entropy = 0, evenness = 0, distance = 0, before = 0, after = 0, kept = 0;
      std::vector<double> offset(2 * kReach + 1);
      int64_t rows = 0, several = 0;
      for (int64_t i = 0; i < kTokens; ++i) {
        std::vector<double> e(kTokens, 0);
        double sum = 0;
        int64_t edges = 0;
        for (int64_t j = 0; j < kTokens; ++j) {
          if (!sees(*graph, h, i, j)) continue;
          double score = 0;
          for (int64_t d = 0; d < kDim; ++d) {
            score += in.qkv.at(i * 18 + h * kDim + d) * in.qkv.at(j * 18 + 6 + h * kDim + d);
          }
          score *= 0.7;
          if (std::abs(j - i) <= 2) score += in.bias.at(h * 5 + 2 + j - i);
          e[static_cast<size_t>(j)] = std::exp(score);
          sum += e[static_cast<size_t>(j)];
          ++edges;
        }
        if (edges == 0) continue;
        ++rows;
        double here = 0;
        for (int64_t j = 0; j < kTokens; ++j) {
          const double a = e[static_cast<size_t>(j)] / sum;
          if (a == 0) continue;
          here -= a * std::log(a);
          distance += a * static_cast<double>(std::abs(j - i));
          if (sees(*candidate, h, i, j)) kept += a;
          if (j - i < -kReach) {
            before += a;
          } else if (j - i > kReach) {
            after += a;
          } else {
            offset[static_cast<size_t>(j - i + kReach)] += a;
          }
        }
        entropy += here;
        if (edges > 1) evenness += here / std::log(static_cast<double>(edges)), ++several;
      }
      const HeadStatistics& s = got[static_cast<size_t>(h)];
      const auto count = static_cast<double>(std::max<int64_t>(1, rows));
      EXPECT_EQ(s.rows, rows);
      EXPECT_NEAR(s.entropy, entropy / count, 1e-10);
      EXPECT_NEAR(s.evenness, several == 0 ? 0 : evenness / static_cast<double>(several), 1e-10);
      EXPECT_NEAR(s.distance, distance / count, 1e-10);
      EXPECT_NEAR(s.before, before / count, 1e-10);
      EXPECT_NEAR(s.after, after / count, 1e-10);
      EXPECT_NEAR(s.kept[0], kept / count, 1e-10);
      EXPECT_NEAR(s.kept[1], rows == 0 ? 0 : 1, 1e-10);
      for (double& value : offset) value /= count;
      EXPECT_THAT(s.offset, Pointwise(DoubleNear(1e-10), offset));
      rows_seen += rows;
    }
    int64_t walked = 0;
    double total = 0;
    for_attention_rows(in, [&](const AttentionRow& row) {
      walked += !row.keys.empty();
      for (const double a : row.weights) total += a;
    });
    EXPECT_EQ(walked, rows_seen);
    EXPECT_NEAR(total, static_cast<double>(rows_seen), 1e-9);
  }
}
INSTANTIATE_TEST_SUITE_P(Types, Statistics, ::testing::Values(DType::f32, DType::f64));

TEST(AttentionStatistics, SameBitsOnAnyThreadsAndMemoryOfARow) {
  const auto graph = graphs_of("neighbour:8", {0, 6000}, 1, 2).front();
  RandomStream random(9, Purpose::test);
  Tensor qkv({6000, 12});
  for (float& value : qkv.span<float>()) value = static_cast<float>(random.normal());
  const int before = thread_count();
  set_thread_count(1);
  const auto one = attention_statistics({qkv, graph, {}, 0}, 8);
  set_thread_count(2);
  const auto two = attention_statistics({qkv, graph, {}, 0}, 8);
  set_thread_count(before);
  for (size_t h = 0; h < 2; ++h) {
    EXPECT_EQ(one[h].entropy, two[h].entropy);
    EXPECT_EQ(one[h].offset, two[h].offset);
    EXPECT_NEAR(one[h].before + one[h].after, 0, 1e-12);
  }
  EXPECT_THROW(attention_statistics({qkv.slice(0, 10), graph, {}, 0}, 8), ShapeError);
  EXPECT_THROW(attention_statistics({qkv, graph, {}, 0}, -1), ConfigError);
  EXPECT_THROW(attention_statistics({qkv, graph, {}, 0}, 8, {graphs_of("self", {0, 5}).front()}),
               ShapeError);
}

}  // namespace filigree
