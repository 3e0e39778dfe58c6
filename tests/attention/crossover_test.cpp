// The crossover table, the choice of kernels and what --explain says of it.
#include "attention/crossover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "attention/explain.h"
#include "attention/kernels/choice.h"
#include "attention/kernels/edge_blocks.h"
#include "core/error.h"
#include "core/file.h"
#include "tests/temporary_folder.h"

namespace filigree {
namespace {

using kernels::choose_kernel;
using kernels::KernelWork;
using kernels::work_of;
using ::testing::HasSubstr;

std::shared_ptr<const AttentionGraph> graph_of(const std::string& pattern,
                                               const std::vector<int64_t>& offsets, int heads = 1) {
  SequenceBatch batch;
  batch.offsets = Tensor::from(offsets);
  return AttentionPlan(pattern, "all", "all", 1, heads).build(batch, 1, 0).front();
}

const std::vector<std::string> kPatterns{"dense",       "neighbour:3",    "neighbour:0,40",
                                         "random:5",    "global:cls",     "block:32",
                                         "dilated:4,8", "strided:9",      "neighbour:8 | random:3",
                                         "random:60",   "causal & dense", "global:every=7"};

/// Distinct columns of every block of the edges kernel, counted.
double columns_by_counting(const AttentionGraph& graph) {
  double total = 0;
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    for (int64_t first = offsets[b]; first < offsets[b + 1]; first += kernels::kEdgeRows) {
      std::set<int32_t> columns;
      for (int64_t i = first; i < std::min(first + kernels::kEdgeRows, offsets[b + 1]); ++i) {
        for (const int32_t j : graph.row(0, i)) columns.insert(j);
      }
      total += static_cast<double>(columns.size());
    }
  }
  return total;
}

}  // namespace

TEST(Crossover, CostsBetweenAndBeyondTheMeasuredSizes) {
  const CrossoverTable table("here", {{DType::f32, 64, {4, 40, 8, 16, 80}},
                                      {DType::f32, 32, {2, 20, 6, 8, 60}},
                                      {DType::f64, 64, {8, 80, 16, 32, 160}}});
  EXPECT_EQ(table.at(DType::f32, 64).pair, 4);
  EXPECT_EQ(table.at(DType::f32, 40).pair, 2.5);
  EXPECT_EQ(table.at(DType::f32, 16).edge_row, 30);
  EXPECT_EQ(table.at(DType::f32, 128).column, 32);
  EXPECT_EQ(table.at(DType::f64, 32).edge, 8);
  EXPECT_THROW(CrossoverTable("", {{DType::f32, 64, {4, 40, 8, 16, 80}}}), ConfigError);
  const CrossoverTable::Row f64{DType::f64, 64, {8, 80, 16, 32, 160}};
  EXPECT_THROW(
      CrossoverTable(
          "", {{DType::f32, 64, {4, 40, 8, 16, 80}}, {DType::f32, 64, {4, 40, 8, 16, 80}}, f64}),
      ConfigError);
  EXPECT_THROW(CrossoverTable("", {{DType::f32, 64, {4, 40, 1e308, 16, 80}}, f64}), ConfigError);
  EXPECT_THROW(CrossoverTable("", {{DType::f32, 64, {4, 40, 8, 16, 80}},
                                   {DType::f64, 64, {4, -1, 8, 16, 80}}}),
               ConfigError);
}

TEST(Crossover, DevicesHaveCostsOfTheirOwn) {
  const CrossoverTable table("here", CrossoverTable::shipped().rows(),
                             {{"one", DType::bf16, 128, {20, 4, 60, 0.5, 8}},
                              {"one", DType::bf16, 64, {10, 2, 40, 0.25, 4}},
                              {"other", DType::f32, 64, {100, 1, 200, 1, 16}}});
  EXPECT_EQ(table.at("one", DType::bf16, 64)->tile, 10);
  EXPECT_EQ(table.at("one", DType::bf16, 96)->tile_row, 50);
  EXPECT_EQ(table.at("one", DType::bf16, 32)->edge, 0.125);
  EXPECT_EQ(table.at("other", DType::f32, 64)->part, 1);
  EXPECT_FALSE(table.at("one", DType::f32, 64));
  EXPECT_FALSE(table.at("a third", DType::bf16, 64));
  EXPECT_EQ(table.at(DType::f32, 64).pair, CrossoverTable::shipped().at(DType::f32, 64).pair);
  const std::vector<CrossoverTable::DeviceRow> twice(2, table.devices()[0]);
  EXPECT_THROW(CrossoverTable("", table.rows(), twice), ConfigError);
  EXPECT_THROW(CrossoverTable("", table.rows(), {{"one", DType::bf16, 64, {0, 2, 40, 0.25, 4}}}),
               ConfigError);

  const testing::TemporaryFolder folder;
  table.save(folder / "crossover.json");
  const CrossoverTable loaded = CrossoverTable::load(folder / "crossover.json");
  ASSERT_EQ(loaded.devices().size(), 3u);
  EXPECT_EQ(loaded.at("one", DType::bf16, 128)->edge_row, 8);
  EXPECT_EQ(loaded.rows().size(), table.rows().size());
}

TEST(Crossover, HoldsTheShippedCostsWhereTheCpuWasNotMeasured) {
  const CrossoverTable& shipped = CrossoverTable::shipped();
  const CrossoverTable table("here", {}, {{"one", DType::bf16, 64, {10, 2, 40, 0.25, 4}}});
  const testing::TemporaryFolder folder;
  table.save(folder / "crossover.json");
  const CrossoverTable loaded = CrossoverTable::load(folder / "crossover.json");
  for (const CrossoverTable& each : {table, loaded}) {
    EXPECT_TRUE(each.rows().empty());
    EXPECT_EQ(each.cpu_source(), "shipped");
    EXPECT_EQ(each.at(DType::f64, 96).column, shipped.at(DType::f64, 96).column);
    EXPECT_EQ(each.at("one", DType::bf16, 64)->tile, 10);
  }
  const CrossoverTable measured = loaded.with(
      {{DType::f32, 64, {4, 40, 8, 16, 80}}, {DType::f64, 64, {8, 80, 16, 32, 160}}}, {});
  EXPECT_EQ(measured.cpu_source(), loaded.source());
  EXPECT_EQ(measured.at(DType::f32, 32).pair, 2);
  EXPECT_THROW(loaded.with({{DType::f32, 64, {4, 40, 8, 16, 80}}}, {}), ConfigError);
}

TEST(Crossover, NewRowsTakeThePlaceOfTheSameAlone) {
  const DeviceCosts old{10, 2, 40, 0.25, 4}, fresh{11, 2, 40, 0.25, 4};
  const CrossoverTable table("here", CrossoverTable::shipped().rows(),
                             {{"one", DType::bf16, 64, old},
                              {"one", DType::bf16, 128, old},
                              {"one", DType::f32, 64, old},
                              {"other", DType::bf16, 64, old}});
  const CrossoverTable made =
      table.with({{DType::f32, 64, {4, 40, 8, 16, 80}}, {DType::f32, 16, {1, 10, 2, 4, 20}}},
                 {{"one", DType::bf16, 64, fresh}, {"one", DType::bf16, 256, fresh}});
  EXPECT_EQ(made.source(), "here");
  EXPECT_EQ(made.devices().size(), 5u);
  EXPECT_EQ(made.at("one", DType::bf16, 64)->tile, 11);
  EXPECT_EQ(made.at("one", DType::bf16, 256)->tile, 11);
  EXPECT_EQ(made.at("one", DType::bf16, 128)->tile, 10);
  EXPECT_EQ(made.at("one", DType::f32, 64)->tile, 10);
  EXPECT_EQ(made.at("other", DType::bf16, 64)->tile, 10);
  EXPECT_EQ(made.rows().size(), table.rows().size() + 1);
  EXPECT_EQ(made.at(DType::f32, 64).pair, 4);
  EXPECT_EQ(made.at(DType::f32, 32).pair, table.at(DType::f32, 32).pair);
  EXPECT_EQ(made.at(DType::f64, 64).pair, table.at(DType::f64, 64).pair);
}

TEST(Crossover, IsSavedAndLoadedWholeOrRefused) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / "deep/crossover.json";
  const CrossoverTable& shipped = CrossoverTable::shipped();
  shipped.save(path);
  const CrossoverTable loaded = CrossoverTable::load(path);
  ASSERT_EQ(loaded.rows().size(), shipped.rows().size());
  EXPECT_EQ(loaded.source(), path.string());
  for (const auto& row : shipped.rows()) {
    EXPECT_EQ(loaded.at(row.dtype, row.dim).column, row.costs.column);
  }
  const std::string text = read_file(path);
  for (
      const std::string& damaged :
      {std::string("{"), text.substr(0, text.size() / 2), std::string("[]"),
       std::string(R"({"format":"filigree crossover 1"})"),
       std::string(R"({"format":"filigree crossover 1","rows":[]})"),
       std::string(R"({"format":"filigree crossover 1","rows":{}})"),
       std::string(R"({"format":"filigree crossover 1","rows":[3]})"),
       std::string(R"({"format":"filigree crossover 1","rows":[{"dtype":"f32","dim":64}]})"),
       std::string(R"({"format":"filigree crossover 1","rows":[{"dtype":"f32","dim":-1}]})"),
       std::string(text).replace(text.find("[]"), 2, "3"),  // the devices
       std::string(text).replace(text.find("[]"), 2, R"([{"device":"a","dtype":"bf16"}])"),
       std::string(text).replace(
           text.find("[]"), 2,
           R"([{"dtype":"bf16","dim":64,"tile":1,"part":1,"tile_row":1,"edge":1,"edge_row":1}])")}) {
    write_file(path, damaged);
    EXPECT_THROW(CrossoverTable::load(path), DataError) << damaged;
  }
  // What to do is said once: a command that measures looks at the table, too.
  write_file(path, std::string(text).replace(text.find("\"pair\": "), 8, "\"pair\": -"));
  try {
    CrossoverTable::load(path);
    ADD_FAILURE() << "a cost below 0";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("make no sense"));
    EXPECT_THAT(error.what(), ::testing::ContainsRegex("hint: remove it"));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::ContainsRegex("hint.*\n.*hint")));
  }
  EXPECT_THROW(CrossoverTable::load(folder / "absent"), FileError);
}

TEST(Choice, WorkCountsWhatTheKernelsDo) {
  for (const std::string& pattern : kPatterns) {
    SCOPED_TRACE(pattern);
    const auto graph = graph_of(pattern, {0, 200, 201, 330});
    const auto edges = static_cast<double>(graph->group_edges(0));
    const KernelWork scattered = work_of(*graph, 0, AttentionKernel::edges);
    EXPECT_EQ(scattered.edges, edges);
    EXPECT_EQ(scattered.pairs, 0);
    const double columns = columns_by_counting(*graph);
    EXPECT_NEAR(scattered.columns, columns, 0.25 * columns + 8);
    const KernelWork tiles = work_of(*graph, 0, AttentionKernel::tiles);
    EXPECT_GE(tiles.pairs, edges);
    EXPECT_LE(tiles.pairs, 1.2 * 2 * (200.0 * 200 + 129 * 129) + 200);
    EXPECT_EQ(tiles.edges, 0);
    const KernelWork both = work_of(*graph, 0, AttentionKernel::mixed);
    EXPECT_LE(both.edges, edges);
    EXPECT_GE(both.edges + both.pairs, edges);
    if (graph->sequence(0, 0).intervals_only()) {
      EXPECT_EQ(both.pairs, tiles.pairs);
    }
  }
}

TEST(Choice, IsTheLeastByTheCosts) {
  const KernelCosts dear_edges{1, 0, 1e6, 0, 0}, dear_pairs{1e6, 0, 1, 0, 0};
  for (const std::string& pattern : kPatterns) {
    const auto graph = graph_of(pattern, {0, 200, 201, 330});
    for (int64_t b = 0; b < graph->sequences(); ++b) {
      const SequenceGraph& sequence = graph->sequence(0, b);
      EXPECT_EQ(choose_kernel(sequence, dear_edges), AttentionKernel::tiles) << pattern;
      EXPECT_EQ(choose_kernel(sequence, dear_pairs), AttentionKernel::edges) << pattern;
    }
  }
  // A band with scattered edges: pairs of the band are cheap, edges less so, full rows dear.
  const auto graph = graph_of("neighbour:32 | random:2", {0, 400});
  EXPECT_EQ(choose_kernel(graph->sequence(0, 0), {1, 0, 4, 0, 0}), AttentionKernel::mixed);
}

TEST(Explain, SaysWhatIsComputedByWhat) {
  SequenceBatch batch;
  batch.offsets = Tensor::from(std::vector<int64_t>{0, 300, 340});
  const AttentionPlan plan("neighbour:2 | random:2", "last:2", "0,1", 3, 3);
  const LayerGraphs graphs = plan.build(batch, 1, 0);
  const std::vector<KernelChoice> choices = explain(graphs, {DType::f32, 64});
  std::vector<int> covered(3, 0);
  for (const KernelChoice& choice : choices) {
    EXPECT_NE(choice.kernel, AttentionKernel::automatic);
    EXPECT_THAT(choice.why, HasSubstr("costs: "));
    EXPECT_GT(choice.bytes, 0);
    for (const int layer : choice.layers) {
      covered[static_cast<size_t>(layer)] += static_cast<int>(choice.heads.size());
      for (const int head : choice.heads) {
        const AttentionGraph& graph = *graphs[static_cast<size_t>(layer)];
        int64_t sequences = 0, edges = 0;
        for (int64_t b = 0; b < graph.sequences(); ++b) {
          const SequenceGraph& sequence = graph.sequence(graph.group_of_head(head), b);
          if (choose_kernel(sequence, crossover_table().at(DType::f32, 64)) != choice.kernel) {
            continue;
          }
          ++sequences;
          edges += sequence.edges();
        }
        EXPECT_EQ(choice.sequences, sequences);
        EXPECT_EQ(choice.edges, edges);
      }
    }
  }
  EXPECT_EQ(covered, (std::vector<int>{3, 3, 3}));
  EXPECT_EQ(choices[0].heads.size(), 3u);  // the dense layer: one line for all its heads
  const auto asked = explain(graphs, {DType::f32, 64, false, AttentionKernel::rows});
  EXPECT_EQ(asked[0].kernel, AttentionKernel::rows);
  EXPECT_EQ(asked[0].why, "asked for");
  EXPECT_THAT(to_text(choices), HasSubstr("0-2"));
}

TEST(Explain, SaysThatReachesAreDrawn) {
  // Whatever the layers' graphs are, they are not computed.
  const LayerGraphs graphs{graph_of("dense", {0, 300, 340}, 3),
                           graph_of("neighbour:1", {0, 300, 340}, 3)};
  const auto widest = graph_of("neighbour:20", {0, 300, 340}, 3);
  AttentionUse use{DType::f32, 64, true};
  use.drawn_reach = 20;
  const std::vector<KernelChoice> choices = explain(graphs, use);
  ASSERT_EQ(choices.size(), 1u);
  const KernelChoice& choice = choices[0];
  EXPECT_EQ(choice.layers, (std::vector<int>{0, 1}));
  EXPECT_EQ(choice.heads, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(choice.kernel, AttentionKernel::automatic);
  EXPECT_EQ(choice.edges, widest->group_edges(0));
  EXPECT_EQ(choice.density, widest->density());
  EXPECT_EQ(choice.bytes, 3 * 8 * 340);
  EXPECT_THAT(choice.why, HasSubstr("draws its reach, up to 20:"));
  EXPECT_THAT(to_text(choices), HasSubstr("automatic"));
  EXPECT_TRUE(explain({}, use).empty());
}

}  // namespace filigree
