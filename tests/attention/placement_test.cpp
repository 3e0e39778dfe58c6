// AttentionPlan: which layers and heads are sparse, what their random edges depend on; the exact
// density; the published sparsity of bands.
#include "attention/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.h"
#include "tests/attention/pattern_sets.h"

namespace filigree {
namespace {

using namespace testing_attention;
using testing::HasSubstr;

Tensor offsets_of(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return Tensor::from(offsets);
}

SequenceBatch batch_of(const std::vector<int64_t>& lengths) {
  return {offsets_of(lengths), {}, {}, {}};
}

/// "s..s": which layers are sparse in head 0, or which heads in the first sparse layer.
std::string sparse_layers(std::string_view layers, int count = 4) {
  const AttentionPlan plan("self", layers, "all", count, 1);
  std::string marks;
  for (int l = 0; l < count; ++l) marks += plan.sparse(l, 0) ? 's' : '.';
  return marks;
}
std::string sparse_heads(std::string_view heads, int count = 4) {
  const AttentionPlan plan("self", "all", heads, 1, count);
  std::string marks;
  for (int h = 0; h < count; ++h) marks += plan.sparse(0, h) ? 's' : '.';
  return marks;
}

std::vector<std::vector<int32_t>> edges_of(const AttentionGraph& graph, int head) {
  std::vector<std::vector<int32_t>> rows;
  for (int64_t i = 0; i < graph.tokens(); ++i) {
    rows.push_back(graph.row(graph.group_of_head(head), i));
  }
  return rows;
}

TEST(Placement, ChoosesLayersAndHeads) {
  EXPECT_EQ(sparse_layers("all"), "ssss");
  EXPECT_EQ(sparse_layers("none"), "....");
  EXPECT_EQ(sparse_layers("first:0"), "....");
  EXPECT_EQ(sparse_layers("first:1"), "s...");
  EXPECT_EQ(sparse_layers("first:4"), "ssss");
  EXPECT_EQ(sparse_layers("last:3"), ".sss");
  EXPECT_EQ(sparse_layers("last:0"), "....");
  EXPECT_EQ(sparse_layers("only:2"), "..s.");
  EXPECT_EQ(sparse_layers("0,3"), "s..s");
  EXPECT_EQ(sparse_layers("3,0,3"), "s..s");
  EXPECT_EQ(sparse_layers("1"), ".s..");
  EXPECT_EQ(sparse_heads("all"), "ssss");
  EXPECT_EQ(sparse_heads("1,2"), ".ss.");
  EXPECT_EQ(sparse_heads("none"), "....");
}

TEST(Placement, MistakesNameTheOptionAndTheText) {
  for (const char* text :
       {"first:5", "last:5", "only:4", "4", "0,4", "first:", "first:x", "first:-1", "middle:2",
        "al", "", "0,,1", "0,", "0;1", "all:2", "none:1", "first:99999999999", "only:2147483647"}) {
    for (const bool of_layers : {true, false}) {
      try {
        of_layers ? AttentionPlan("self", text, "all", 4, 4)
                  : AttentionPlan("self", "all", text, 4, 4);
        ADD_FAILURE() << "\"" << text << "\" was read";
      } catch (const ConfigError& error) {
        EXPECT_EQ(error.where(), of_layers ? "attention.layers" : "attention.heads");
        EXPECT_THAT(error.what(), HasSubstr("\"" + std::string(text) + "\""));
      }
    }
  }
  EXPECT_THROW(AttentionPlan("slef", "all", "all", 4, 4), ConfigError);
}

TEST(Placement, TheOtherLayersAndHeadsAreDense) {
  const AttentionPlan plan("neighbour:1", "1,2", "0,2", 4, 3);
  const LayerGraphs graphs = plan.build(batch_of({5, 1, 4}), 1, 0);
  const AttentionPlan everywhere("neighbour:1", "all", "all", 1, 1);
  const auto sparse = edges_of(*everywhere.build(batch_of({5, 1, 4}), 1, 0)[0], 0);
  const auto dense = edges_of(AttentionGraph::dense(offsets_of({5, 1, 4}), 1), 0);
  ASSERT_EQ(graphs.size(), 4U);
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 3; ++h) {
      const bool chosen = (l == 1 || l == 2) && h != 1;
      EXPECT_EQ(plan.sparse(l, h), chosen);
      EXPECT_EQ(edges_of(*graphs[static_cast<size_t>(l)], h), chosen ? sparse : dense);
    }
  }
}

TEST(Placement, EqualGraphsAreShared) {
  const SequenceBatch batch = batch_of({9, 6});
  const LayerGraphs graphs = AttentionPlan("neighbour:1", "0,2", "0", 4, 2).build(batch, 1, 0);
  EXPECT_EQ(graphs[0], graphs[2]);
  EXPECT_EQ(graphs[1], graphs[3]);
  EXPECT_NE(graphs[0], graphs[1]);
  EXPECT_EQ(graphs[0]->groups(), 2);  // one for head 0, one for the dense head
  const LayerGraphs none = AttentionPlan("random:1", "none", "all", 3, 2).build(batch, 1, 0);
  EXPECT_EQ(none[0], none[2]);
  const LayerGraphs random = AttentionPlan("random:1", "all", "0,1", 2, 3).build(batch, 1, 0);
  EXPECT_NE(random[0], random[1]);
  EXPECT_EQ(random[0]->groups(), 3);
  EXPECT_EQ(AttentionPlan("block:2", "all", "all", 1, 8).build(batch, 1, 0)[0]->groups(), 1);
}

TEST(Placement, GraphsAreTheRowsOfThePattern) {
  const std::vector<int64_t> lengths{7, 1, 12};
  std::vector<uint8_t> special(20);
  special[3] = special[7] = special[15] = 1;
  const std::vector<int64_t> samples{31, 4, 15};
  const SequenceBatch batch{offsets_of(lengths), {}, special, samples};
  for (const char* text : {"global:special|random:2,per=example", "bigbird:1,1,2",
                           "random:2,per=step", "neighbour:2-self|noself"}) {
    const Pattern pattern = parse_pattern(text);
    const LayerGraphs graphs = AttentionPlan(text, "all", "all", 2, 2).build(batch, 5, 6);
    for (int l = 0; l < 2; ++l) {
      for (int h = 0; h < 2; ++h) {
        const auto edges = edges_of(*graphs[static_cast<size_t>(l)], h);
        for (size_t b = 0, first = 0; b < lengths.size();
             first += static_cast<size_t>(lengths[b++])) {
          const auto n = static_cast<size_t>(lengths[b]);
          const SequenceView view{lengths[b],
                                  {},
                                  std::span<const uint8_t>(special).subspan(first, n),
                                  static_cast<uint64_t>(samples[b])};
          for (size_t i = 0; i < n; ++i) {
            Columns want;
            for (const int64_t j : row_of(pattern, view, static_cast<int64_t>(i), {5, 6, l, h})) {
              want.insert(j + static_cast<int64_t>(first));
            }
            ASSERT_EQ(Columns(edges[first + i].begin(), edges[first + i].end()), want) << text;
          }
        }
      }
    }
  }
}

TEST(Placement, RandomEdgesDependOnSeedLayerHeadStepAndSample) {
  const auto build = [](const char* pattern, uint64_t seed, uint64_t step,
                        const std::vector<int64_t>& samples) {
    SequenceBatch batch = batch_of({40, 40});
    batch.samples = samples;
    const LayerGraphs graphs = AttentionPlan(pattern, "all", "all", 2, 2).build(batch, seed, step);
    std::vector<std::vector<std::vector<int32_t>>> edges;
    for (const auto& graph : graphs) {
      for (int h = 0; h < 2; ++h) edges.push_back(edges_of(*graph, h));
    }
    return edges;
  };
  const std::vector<int64_t> one{3, 8}, two{3, 9};
  const auto fixed = build("random:3", 1, 1, one);
  for (size_t a = 0; a < 4; ++a) {
    for (size_t b = 0; b < a; ++b) EXPECT_NE(fixed[a], fixed[b]) << "layer or head";
  }
  EXPECT_EQ(build("random:3", 1, 1, one), fixed);
  EXPECT_EQ(build("random:3", 1, 2, two), fixed);
  EXPECT_NE(build("random:3", 2, 1, one), fixed);
  EXPECT_NE(build("random:3,per=step", 1, 1, one), build("random:3,per=step", 1, 2, one));
  EXPECT_EQ(build("random:3,per=step", 1, 1, one), build("random:3,per=step", 1, 1, two));
  // per=example: the sample decides, not its place in the batch.
  const auto example = build("random:3,per=example", 1, 1, one);
  EXPECT_EQ(build("random:3,per=example", 1, 2, one), example);
  const auto swapped = build("random:3,per=example", 1, 1, {8, 3});
  for (size_t i = 0; i < 40; ++i) {
    std::vector<int32_t> moved = example[0][i];
    for (int32_t& column : moved) column += 40;
    EXPECT_EQ(swapped[0][40 + i], moved);
  }
  EXPECT_NE(build("random:3,per=example", 1, 1, two)[0], example[0]);
}

TEST(Placement, Describes) {
  const auto text = [](const char* layers, const char* heads) {
    return AttentionPlan("neighbour:8", layers, heads, 4, 3).describe();
  };
  EXPECT_EQ(text("none", "all"), "dense in every layer");
  EXPECT_EQ(text("all", "none"), "dense in every layer");
  EXPECT_EQ(text("last:2", "all"), "neighbour:8 in 2,3 layers of 4, all heads of 3");
  EXPECT_EQ(text("all", "1"), "neighbour:8 in all layers of 4, 1 heads of 3");
  EXPECT_EQ(AttentionPlan(" causal ", "all", "all", 1, 1).pattern(), "causal");
}

// Over several batches, against counting every pair.
TEST(DensityMeterTest, IsExact) {
  const std::vector<std::vector<int64_t>> batches{{5, 1, 9}, {30}, {}, {2, 2, 17, 6}};
  const AttentionPlan plan("bigbird:1,1,2|noself", "1,2", "0,2", 3, 3);
  DensityMeter meter;
  EXPECT_EQ(meter.mean(), 0);
  std::vector<double> edges(3);
  double pairs = 0;
  for (const auto& lengths : batches) {
    const LayerGraphs graphs = plan.build(batch_of(lengths), 1, 0);
    meter.add(graphs);
    for (const int64_t n : lengths) pairs += static_cast<double>(n * n);
    for (size_t l = 0; l < 3; ++l) {
      for (int h = 0; h < 3; ++h) {
        for (const auto& row : edges_of(*graphs[l], h)) edges[l] += static_cast<double>(row.size());
      }
    }
  }
  ASSERT_EQ(meter.layers(), 3U);
  for (size_t l = 0; l < 3; ++l) EXPECT_NEAR(meter.layer(l), edges[l] / 3 / pairs, 1e-14);
  EXPECT_NEAR(meter.mean(), (edges[0] + edges[1] + edges[2]) / 9 / pairs, 1e-14);
  EXPECT_EQ(meter.layer(0), 1);
  EXPECT_EQ(meter.empty_rows(), 0);
}

TEST(DensityMeterTest, CountsEmptyRows) {
  DensityMeter meter;
  meter.add(
      AttentionPlan("causal-self|noself", "first:1", "all", 2, 3).build(batch_of({4, 5}), 1, 0));
  EXPECT_EQ(meter.empty_rows(), 2 * 3);  // the first token of each sequence, in every head
}

// Sparsity in % of a truncated band, as published in the reference table; -1 where there is none.
struct BandRow {
  int64_t length;
  std::vector<double> sparsity;
};

TEST(ReferenceTable, SparsityOfBands) {
  const std::vector<int64_t> reaches{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
  const std::vector<BandRow> table{
      {64, {95.4, 92.3, 89.4, 86.4, 80.7, 75.2, 64.7, 55.1, 38.1, 24.2, 5.9, -1}},
      {128, {97.7, 96.1, 94.6, 93.1, 90.1, 87.2, 81.4, 75.9, 65.4, 55.7, 38.6, 24.6}},
      {512, {99.4, 99.0, 98.6, 98.2, 97.5, 96.7, 95.2, 93.7, 90.7, 87.7, 82.0, 76.4}},
  };
  for (const BandRow& row : table) {
    for (size_t k = 0; k < reaches.size(); ++k) {
      if (row.sparsity[k] < 0) continue;
      const AttentionPlan plan("neighbour:" + std::to_string(reaches[k]), "all", "all", 1, 1);
      const double sparsity = 100 * (1 - plan.build(batch_of({row.length}), 1, 0)[0]->density());
      EXPECT_NEAR(sparsity, row.sparsity[k], 0.05 + 1e-9)  // printed with one digit
          << "length " << row.length << ", reach " << reaches[k];
    }
  }
}

TEST(ReferenceTable, LargestReachThatIsSeventyEightPercentSparse) {
  const auto sparsity = [](int64_t n, int64_t w) {
    const AttentionPlan plan("neighbour:" + std::to_string(w), "all", "all", 1, 1);
    return 1 - plan.build(batch_of({n}), 1, 0)[0]->density();
  };
  EXPECT_GE(sparsity(128, 14), 0.78);
  EXPECT_LT(sparsity(128, 15), 0.78);
  EXPECT_GE(sparsity(512, 59), 0.78);
  EXPECT_LT(sparsity(512, 60), 0.78);
}

}  // namespace

}  // namespace filigree
