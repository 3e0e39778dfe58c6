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
  EXPECT_TRUE(graph.sequence(1, 3).intervals_only());
  EXPECT_EQ(graph.group_bytes(0), 8 * tokens);
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
  EXPECT_TRUE(graph.sequence(0, 0).intervals_only());
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
  EXPECT_THAT(graph.sequence(0, 0).parts().globals, ElementsAre(0));
  EXPECT_THAT(graph.sequence(0, 1).parts().globals, IsEmpty());
  EXPECT_THAT(graph.sequence(0, 0).parts().columns, IsEmpty());
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
  const SequenceGraph::Parts& parts = graph.sequence(0, 0).parts();
  EXPECT_THAT(parts.globals, IsEmpty());
  // The longest run, the first of equals, is the interval.
  EXPECT_THAT(parts.lo, ElementsAre(0, 3, 0, 1, 0));
  EXPECT_THAT(parts.hi, ElementsAre(1, 5, 0, 2, 2));
  EXPECT_THAT(parts.columns, ElementsAre(2, 4, 1, 3, 4));
  EXPECT_THAT(parts.row_offsets, ElementsAre(0, 2, 3, 3, 3, 5));
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
      int64_t columns = 0;
      for (int64_t b = 0; b < csr.sequences(); ++b) {
        EXPECT_THAT(csr.sequence(g, b).parts().globals, IsEmpty());
        columns += static_cast<int64_t>(csr.sequence(g, b).parts().columns.size());
      }
      EXPECT_EQ(columns, csr.edges(g));
    }
  }
}

TEST(Graph, MemoryGrowsWithTokensAndEdgesNotWithPairs) {
  const auto band = [](int64_t n) {
    return AttentionGraph::from_rows(i64({0, n}), 1, {0}, [n](int, int64_t, int64_t i, Runs& out) {
      append_run(out, std::max<int64_t>(0, i - 2), std::min(n, i + 3));
    });
  };
  EXPECT_EQ(band(1000).group_bytes(0), 8 * 1000);  // one interval a token
  EXPECT_EQ(AttentionGraph::dense(i64({0, 1000}), 1).group_bytes(0), 8 * 1000);
}

// A graph that several sequences share has its memory once.
TEST(Graph, SharedSequencesCountOnce) {
  const auto one = SequenceGraph::dense(100), other = SequenceGraph::dense(50);
  const AttentionGraph graph(i64({0, 100, 200, 250}), {{one, one, other}}, {0, 0});
  EXPECT_EQ(graph.group_bytes(0), 8 * 150);
  EXPECT_EQ(graph.edges(0), 2 * 10000 + 2500);
  EXPECT_EQ(graph.row(0, 220).front(), 200);
}

/// Valid parts over 3 tokens: intervals, an extra and a global column.
SequenceGraph::Parts sound_parts() { return {{0, 0, 2}, {1, 2, 3}, {0, 0, 0, 1}, {1}, {0}}; }

struct Fault {
  const char* name;
  std::function<void(SequenceGraph::Parts&)> make;
};

std::vector<Fault> faults() {
  using Parts = SequenceGraph::Parts;
  return {
      {"interval_beyond_the_end",
       [](Parts& p) {
         p.hi = {1, 2, 4};
       }},
      {"interval_negative",
       [](Parts& p) {
         p.lo = {-1, 0, 2};
       }},
      {"column_beyond_the_end", [](Parts& p) { p.columns = {3}; }},
      {"column_negative", [](Parts& p) { p.columns = {-1}; }},
      {"column_in_the_interval", [](Parts& p) { p.columns = {2}; }},
      {"column_is_global", [](Parts& p) { p.columns = {0}; }},
      {"columns_descend",
       [](Parts& p) {
         p.row_offsets = {0, 2, 2, 2};
         p.columns = {2, 1};
       }},
      {"columns_twice",
       [](Parts& p) {
         p.row_offsets = {0, 2, 2, 2};
         p.columns = {1, 1};
       }},
      {"row_offsets_not_from_zero",
       [](Parts& p) {
         p.row_offsets = {1, 1, 1, 1};
       }},
      {"row_offsets_descend",
       [](Parts& p) {
         p.row_offsets = {0, 1, 0, 1};
       }},
      {"row_offsets_end_early",
       [](Parts& p) {
         p.row_offsets = {0, 0, 0, 0};
       }},
      {"row_offsets_end_late",
       [](Parts& p) {
         p.row_offsets = {0, 0, 0, 2};
       }},
      {"global_negative", [](Parts& p) { p.globals = {-1}; }},
      {"global_beyond_the_end",
       [](Parts& p) {
         p.globals = {0, 3};
       }},
      {"globals_descend",
       [](Parts& p) {
         p.globals = {2, 0};
       }},
      {"globals_twice",
       [](Parts& p) {
         p.globals = {0, 0};
       }},
  };
}

class GraphFault : public testing::TestWithParam<Fault> {};
INSTANTIATE_TEST_SUITE_P(Graph, GraphFault, testing::ValuesIn(faults()),
                         [](const auto& info) { return info.param.name; });

TEST_P(GraphFault, IsADataErrorBeforeAKernelReliesOnIt) {
  SequenceGraph::Parts parts = sound_parts();
  GetParam().make(parts);
  EXPECT_THROW(SequenceGraph{parts}, DataError);
}

TEST(Graph, WithoutAFaultTheSamePartsAreFine) {
  const auto sequence = std::make_shared<const SequenceGraph>(sound_parts());
  EXPECT_EQ(sequence->edges(), 6);
  const AttentionGraph graph(i64({0, 3, 6}), {{sequence, sequence}}, {0});
  EXPECT_THAT(graph.row(0, 0), ElementsAre(0));
  EXPECT_THAT(graph.row(0, 1), ElementsAre(0, 1));
  EXPECT_THAT(graph.row(0, 2), ElementsAre(0, 1, 2));
  EXPECT_THAT(graph.row(0, 4), ElementsAre(3, 4));
  EXPECT_EQ(graph.edges(0), 12);
}

TEST(Graph, WrongSizesAreShapeErrors) {
  const auto with = [](auto change) {
    SequenceGraph::Parts parts = sound_parts();
    change(parts);
    return parts;
  };
  EXPECT_THROW(SequenceGraph{with([](auto& p) { p.hi.push_back(3); })}, ShapeError);
  EXPECT_THROW(SequenceGraph{with([](auto& p) { p.row_offsets = {0, 1}; })}, ShapeError);
  EXPECT_THROW(SequenceGraph{with([](auto& p) { p.row_offsets = {}; })}, ShapeError);
}

TEST(Graph, BatchesThatDoNotFitTheirGraphsAreDataErrors) {
  const auto three = SequenceGraph::dense(3), two = SequenceGraph::dense(2);
  const auto make = [&](const std::vector<int64_t>& offsets, const SequenceGraphs& group,
                        const std::vector<int>& group_of_head) {
    return AttentionGraph(i64(offsets), {group}, group_of_head);
  };
  EXPECT_NO_THROW(make({0, 3, 5}, {three, two}, {0}));
  EXPECT_THROW(make({}, {}, {0}), DataError);
  EXPECT_THROW(make({1, 4, 6}, {three, two}, {0}), DataError);
  EXPECT_THROW(make({0, 3, 1}, {three, two}, {0}), DataError);
  EXPECT_THROW(make({0, int64_t{1} << 31}, {three}, {0}), DataError);
  EXPECT_THROW(make({0, 3, 5}, {two, three}, {0}), DataError);
  EXPECT_THROW(make({0, 3, 5}, {three}, {0}), DataError);
  EXPECT_THROW(make({0, 3, 5}, {three, nullptr}, {0}), DataError);
  EXPECT_THROW(make({0, 3, 5}, {three, two}, {1}), DataError);
  EXPECT_THROW(make({0, 3, 5}, {three, two}, {-1}), DataError);
  EXPECT_THROW(
      AttentionGraph::from_rows(i64({0, 2, 4}), 1, {0},
                                [](int, int64_t, int64_t, Runs& out) { append_run(out, 1, 3); }),
      DataError);
}

TEST(Graph, ErrorsNameTheRow) {
  SequenceGraph::Parts parts = sound_parts();
  parts.hi = {1, 2, 4};
  try {
    SequenceGraph{parts};
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("row 2"));
  }
}

}  // namespace
}  // namespace filigree
