// AttentionGraph: how edges are stored, counted, read back and checked.
#include "attention/graph.h"

#include <algorithm>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "core/error.h"
#include "core/random.h"

namespace filigree {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Tensor i32(const std::vector<int32_t>& values) { return Tensor::from(values); }
Tensor i64(const std::vector<int64_t>& values) { return Tensor::from(values); }

/// Edges as they are meant: edges[group][row] = columns.
using EdgeSets = std::vector<std::vector<std::set<int32_t>>>;

AttentionGraph graph_of(const Tensor& offsets, const EdgeSets& edges,
                        const std::vector<int>& group_of_head) {
  return AttentionGraph::from_rows(
      offsets, static_cast<int>(edges.size()), group_of_head,
      [&](int group, int64_t, int64_t i, Runs& out) {
        for (const int32_t j : edges[static_cast<size_t>(group)][static_cast<size_t>(i)]) {
          append_run(out, j, j + 1);
        }
      });
}

void expect_edges(const AttentionGraph& graph, const EdgeSets& want) {
  ASSERT_EQ(graph.groups(), static_cast<int>(want.size()));
  for (int g = 0; g < graph.groups(); ++g) {
    for (int64_t i = 0; i < graph.tokens(); ++i) {
      const auto& row = want[static_cast<size_t>(g)][static_cast<size_t>(i)];
      ASSERT_EQ(graph.row(g, i), std::vector<int32_t>(row.begin(), row.end()))
          << "group " << g << ", row " << i;
    }
  }
}

// A reach a token and a head, against its definition.
TEST(Graph, FromReaches) {
  const std::vector<int64_t> offsets{0, 5, 5, 6, 40};
  const int64_t tokens = offsets.back();
  RandomStream random(3, Purpose::test);
  Tensor left({2, tokens}, DType::i32), right({2, tokens}, DType::i32);
  for (int64_t k = 0; k < 2 * tokens; ++k) {
    left.data<int32_t>()[k] = static_cast<int32_t>(random.below(9));
    right.data<int32_t>()[k] = random.below(9) == 0 ? INT32_MAX : 2;
  }
  EdgeSets want(2, std::vector<std::set<int32_t>>(static_cast<size_t>(tokens)));
  for (int64_t g = 0; g < 2; ++g) {
    for (size_t b = 0; b + 1 < offsets.size(); ++b) {
      for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
        for (int64_t j = offsets[b]; j < offsets[b + 1]; ++j) {
          const int64_t at = g * tokens + i;
          if (i - j > left.data<int32_t>()[at] || j - i > right.data<int32_t>()[at]) continue;
          want[static_cast<size_t>(g)][static_cast<size_t>(i)].insert(static_cast<int32_t>(j));
        }
      }
    }
  }
  const AttentionGraph graph = AttentionGraph::from_reaches(i64(offsets), left, right, {0, 1, 0});
  expect_edges(graph, want);
  EXPECT_TRUE(graph.group(1).intervals_only());
  EXPECT_EQ(graph.group(0).bytes(), 8 * tokens);
  EXPECT_EQ(graph.heads(), 3);
  left.data<int32_t>()[7] = -1;
  EXPECT_THROW(AttentionGraph::from_reaches(i64(offsets), left, right, {0, 1}), DataError);
  EXPECT_THROW(AttentionGraph::from_reaches(i64({0, 3}), left, right, {0, 1}), ShapeError);
}

TEST(Graph, DenseIsOneIntervalARow) {
  const AttentionGraph graph = AttentionGraph::dense(i64({0, 3, 3, 4}), 5);
  EXPECT_EQ(graph.tokens(), 4);
  EXPECT_EQ(graph.sequences(), 3);
  EXPECT_EQ(graph.heads(), 5);
  EXPECT_EQ(graph.groups(), 1);
  EXPECT_TRUE(graph.group(0).intervals_only());
  EXPECT_THAT(graph.row(0, 0), ElementsAre(0, 1, 2));
  EXPECT_THAT(graph.row(0, 2), ElementsAre(0, 1, 2));
  EXPECT_THAT(graph.row(0, 3), ElementsAre(3));
  EXPECT_EQ(graph.edges(4), 10);
  EXPECT_EQ(graph.valid_pairs(), 10);
  EXPECT_EQ(graph.density(), 1);
  EXPECT_EQ(graph.empty_rows(), 0);
}

TEST(Graph, NoTokens) {
  for (const Tensor& offsets : {i64({0}), i64({0, 0, 0})}) {
    const AttentionGraph graph = AttentionGraph::dense(offsets, 2);
    EXPECT_EQ(graph.tokens(), 0);
    EXPECT_EQ(graph.valid_pairs(), 0);
    EXPECT_EQ(graph.density(), 0);
    EXPECT_EQ(graph.as_csr().edges(1), 0);
  }
}

// Sequence 0 (rows 0 .. 3): everybody sees 0; row 2 sees more, row 0 everything. Sequence 1 (rows
// 4 .. 5): one plain edge and an empty row.
TEST(Graph, FromRowsChoosesGlobalsIntervalsAndExtras) {
  const EdgeSets edges{{{0, 1, 2, 3}, {0, 1}, {0, 2, 3}, {0, 3}, {5}, {}}};
  const AttentionGraph graph = graph_of(i64({0, 4, 6}), edges, {0});
  expect_edges(graph, edges);
  const HeadGraph& group = graph.group(0);
  ASSERT_TRUE(group.global_columns.defined());
  EXPECT_THAT(group.global_columns.span<int32_t>(), ElementsAre(0));
  EXPECT_THAT(group.global_offsets.span<int64_t>(), ElementsAre(0, 1, 1));
  EXPECT_FALSE(group.columns.defined());
  EXPECT_EQ(graph.edges(0), 4 + 2 + 3 + 2 + 1);
  EXPECT_EQ(graph.empty_rows(), 1);
  EXPECT_EQ(graph.valid_pairs(), 16 + 4);
  EXPECT_DOUBLE_EQ(graph.density(), 12.0 / 20);
  EXPECT_THAT(graph.row(0, 2), ElementsAre(0, 2, 3));
}

TEST(Graph, ScatteredColumnsAreExtras) {
  const EdgeSets edges{{{0, 2, 4}, {1, 3, 4}, {}, {1}, {0, 1, 3, 4}}};
  const AttentionGraph graph = graph_of(i64({0, 5}), edges, {0});
  expect_edges(graph, edges);
  const HeadGraph& group = graph.group(0);
  EXPECT_FALSE(group.global_columns.defined());
  // The longest run, the first of equals, is the interval.
  EXPECT_THAT(group.lo.span<int32_t>(), ElementsAre(0, 3, 0, 1, 0));
  EXPECT_THAT(group.hi.span<int32_t>(), ElementsAre(1, 5, 0, 2, 2));
  EXPECT_THAT(group.columns.span<int32_t>(), ElementsAre(2, 4, 1, 3, 4));
  EXPECT_THAT(group.row_offsets.span<int64_t>(), ElementsAre(0, 2, 3, 3, 3, 5));
}

TEST(Graph, HeadsShareGroups) {
  const EdgeSets edges{{{0}, {}}, {{0, 1}, {0, 1}}};
  const AttentionGraph graph = graph_of(i64({0, 2}), edges, {1, 0, 1});
  EXPECT_EQ(graph.heads(), 3);
  EXPECT_EQ(graph.group_of_head(1), 0);
  EXPECT_EQ(graph.edges(0), 4);
  EXPECT_EQ(graph.edges(1), 1);
  EXPECT_EQ(graph.edges(2), 4);
  EXPECT_EQ(graph.empty_rows(), 1);  // of head 1
  EXPECT_DOUBLE_EQ(graph.density(), (4 + 1 + 4) / 3.0 / 4);
}

// Any edges come back, and are counted, whatever mixture of intervals, globals and extras holds
// them.
TEST(Graph, AnyEdgesComeBack) {
  RandomStream random(1, Purpose::test);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> offsets{0};
    for (uint64_t b = random.below(5); b > 0; --b) {
      offsets.push_back(offsets.back() + static_cast<int64_t>(random.below(12)));
    }
    EdgeSets edges(1 + random.below(3));
    const double density = random.uniform(), global_share = random.uniform() * 0.3;
    int64_t valid = 0, total = 0, empty = 0;
    for (auto& group : edges) {
      group.resize(static_cast<size_t>(offsets.back()));
      for (size_t b = 0; b + 1 < offsets.size(); ++b) {
        const auto first = static_cast<int32_t>(offsets[b]),
                   end = static_cast<int32_t>(offsets[b + 1]);
        for (int32_t j = first; j < end; ++j) {
          const bool global = random.uniform() < global_share;
          for (int32_t i = first; i < end; ++i) {
            if (global || random.uniform() < density) group[static_cast<size_t>(i)].insert(j);
          }
        }
      }
      for (const auto& row : group) {
        total += static_cast<int64_t>(row.size());
        empty += row.empty();
      }
    }
    for (size_t b = 0; b + 1 < offsets.size(); ++b) {
      valid += (offsets[b + 1] - offsets[b]) * (offsets[b + 1] - offsets[b]);
    }
    std::vector<int> group_of_head(edges.size());
    for (size_t h = 0; h < edges.size(); ++h) group_of_head[h] = static_cast<int>(h);
    const AttentionGraph graph = graph_of(i64(offsets), edges, group_of_head);
    const AttentionGraph csr = graph.as_csr();
    for (const AttentionGraph* each : {&graph, &csr}) {
      expect_edges(*each, edges);
      int64_t counted = 0;
      for (int h = 0; h < each->heads(); ++h) counted += each->edges(h);
      EXPECT_EQ(counted, total);
      EXPECT_EQ(each->empty_rows(), empty);
      EXPECT_EQ(each->valid_pairs(), valid);
    }
    for (int g = 0; g < csr.groups(); ++g) {
      EXPECT_FALSE(csr.group(g).global_columns.defined());
      EXPECT_EQ(csr.group(g).columns.numel(), csr.edges(g));
    }
  }
}

TEST(Graph, MemoryGrowsWithTokensAndEdgesNotWithPairs) {
  const auto band = [](int64_t n) {
    return AttentionGraph::from_rows(i64({0, n}), 1, {0}, [n](int, int64_t, int64_t i, Runs& out) {
      append_run(out, std::max<int64_t>(0, i - 2), std::min(n, i + 3));
    });
  };
  EXPECT_EQ(band(1000).group(0).bytes(), 8 * 1000);  // one interval a token
  EXPECT_EQ(AttentionGraph::dense(i64({0, 1000}), 1).group(0).bytes(), 8 * 1000);
}

/// Valid parts over sequences of 3 and 2 tokens: intervals, extras and a global column each.
struct Parts {
  Tensor offsets = i64({0, 3, 5});
  HeadGraph group{i32({0, 0, 2, 3, 4}), i32({1, 2, 3, 4, 5}), i64({0, 0, 0, 1, 2, 2}),
                  i32({1, 4}),          i64({0, 1, 2}),       i32({0, 3})};
  std::vector<int> group_of_head{0};
};

struct Fault {
  const char* name;
  std::function<void(Parts&)> make;
};

std::vector<Fault> faults() {
  return {
      {"offsets_empty", [](Parts& p) { p.offsets = i64({}); }},
      {"offsets_not_from_zero",
       [](Parts& p) {
         p.offsets = i64({1, 3, 5});
       }},
      {"offsets_descend",
       [](Parts& p) {
         p.offsets = i64({0, 6, 5});
       }},
      {"offsets_beyond_32_bits",
       [](Parts& p) {
         p.offsets = i64({0, int64_t{1} << 31});
       }},
      {"group_too_large", [](Parts& p) { p.group_of_head = {1}; }},
      {"group_negative", [](Parts& p) { p.group_of_head = {-1}; }},
      {"interval_starts_in_another_sequence",
       [](Parts& p) {
         p.group.lo = i32({0, 0, 2, 2, 4});
       }},
      {"interval_ends_in_another_sequence",
       [](Parts& p) {
         p.group.hi = i32({1, 2, 4, 4, 5});
       }},
      {"interval_negative",
       [](Parts& p) {
         p.group.lo = i32({-1, 0, 2, 3, 4});
       }},
      {"column_in_another_sequence",
       [](Parts& p) {
         p.group.columns = i32({3, 4});
       }},
      {"column_beyond_the_end",
       [](Parts& p) {
         p.group.columns = i32({1, 5});
       }},
      {"column_negative",
       [](Parts& p) {
         p.group.columns = i32({-1, 4});
       }},
      {"column_in_the_interval",
       [](Parts& p) {
         p.group.columns = i32({2, 4});
       }},
      {"column_is_global",
       [](Parts& p) {
         p.group.columns = i32({0, 4});
       }},
      {"columns_descend",
       [](Parts& p) {
         p.group.row_offsets = i64({0, 2, 2, 2, 2, 2});
         p.group.columns = i32({2, 1});
       }},
      {"columns_twice",
       [](Parts& p) {
         p.group.row_offsets = i64({0, 2, 2, 2, 2, 2});
         p.group.columns = i32({1, 1});
       }},
      {"row_offsets_not_from_zero",
       [](Parts& p) {
         p.group.row_offsets = i64({1, 1, 1, 1, 2, 2});
       }},
      {"row_offsets_descend",
       [](Parts& p) {
         p.group.row_offsets = i64({0, 0, 2, 1, 2, 2});
       }},
      {"row_offsets_short",
       [](Parts& p) {
         p.group.row_offsets = i64({0, 0, 0, 1, 1, 1});
       }},
      {"row_offsets_absent", [](Parts& p) { p.group.row_offsets = {}; }},
      {"global_in_another_sequence",
       [](Parts& p) {
         p.group.global_columns = i32({3, 3});
       }},
      {"global_negative",
       [](Parts& p) {
         p.group.global_columns = i32({-1, 3});
       }},
      {"global_beyond_the_end",
       [](Parts& p) {
         p.group.global_columns = i32({0, 5});
       }},
      {"globals_descend",
       [](Parts& p) {
         p.group.global_offsets = i64({0, 2, 2});
         p.group.global_columns = i32({2, 0});
       }},
      {"globals_twice",
       [](Parts& p) {
         p.group.global_offsets = i64({0, 2, 2});
         p.group.global_columns = i32({0, 0});
       }},
      {"global_offsets_not_from_zero",
       [](Parts& p) {
         p.group.global_offsets = i64({1, 1, 2});
       }},
      {"global_offsets_descend",
       [](Parts& p) {
         p.group.global_offsets = i64({0, 3, 2});
       }},
      {"global_offsets_short",
       [](Parts& p) {
         p.group.global_offsets = i64({0, 1, 1});
       }},
      {"global_offsets_absent", [](Parts& p) { p.group.global_offsets = {}; }},
  };
}

class GraphFault : public testing::TestWithParam<Fault> {};
INSTANTIATE_TEST_SUITE_P(Graph, GraphFault, testing::ValuesIn(faults()),
                         [](const auto& info) { return info.param.name; });

TEST_P(GraphFault, IsADataErrorBeforeAKernelReliesOnIt) {
  Parts parts;
  GetParam().make(parts);
  EXPECT_THROW(AttentionGraph(parts.offsets, {parts.group}, parts.group_of_head), DataError);
}

TEST(Graph, WithoutAFaultTheSamePartsAreFine) {
  const Parts parts;
  const AttentionGraph graph(parts.offsets, {parts.group}, parts.group_of_head);
  EXPECT_THAT(graph.row(0, 0), ElementsAre(0));
  EXPECT_THAT(graph.row(0, 1), ElementsAre(0, 1));
  EXPECT_THAT(graph.row(0, 2), ElementsAre(0, 1, 2));
  EXPECT_THAT(graph.row(0, 3), ElementsAre(3, 4));
  EXPECT_THAT(graph.row(0, 4), ElementsAre(3, 4));
  EXPECT_EQ(graph.edges(0), 10);
}

TEST(Graph, WrongSizesAreShapeErrors) {
  Parts parts;
  parts.group.lo = i32({0, 0, 2, 3});
  EXPECT_THROW(AttentionGraph(parts.offsets, {parts.group}, {0}), ShapeError);
  parts = {};
  parts.group.hi = i32({1, 2, 3, 4, 5, 5});
  EXPECT_THROW(AttentionGraph(parts.offsets, {parts.group}, {0}), ShapeError);
  parts = {};
  parts.group.row_offsets = i64({0, 2});
  EXPECT_THROW(AttentionGraph(parts.offsets, {parts.group}, {0}), ShapeError);
  parts = {};
  parts.group.lo = i64({0, 0, 2, 3, 4});
  EXPECT_THROW(AttentionGraph(parts.offsets, {parts.group}, {0}), DTypeError);
}

TEST(Graph, ErrorsNameTheRow) {
  Parts parts;
  parts.group.hi = i32({1, 2, 4, 4, 5});
  try {
    AttentionGraph(parts.offsets, {parts.group}, {0});
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("row 2"));
  }
}

}  // namespace
}  // namespace filigree
