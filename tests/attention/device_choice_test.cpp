// Which kernel computes on a device, and what --explain says of it.
#include "attention/kernels/device_choice.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "attention/crossover.h"
#include "attention/explain.h"
#include "attention/kernels/drawn_graph.h"
#include "attention/kernels/schedule.h"
#include "core/device_backend.h"
#include "tests/attention/gated_case.h"

namespace filigree {

namespace {

using namespace testing_attention;
using kernels::device_kernel;
using kernels::TileCounts;
using ::testing::HasSubstr;

constexpr DeviceCosts kDearEdges{1, 0, 0, 1e6, 0}, kDearTiles{1e6, 0, 0, 1, 0};

class DeviceChoice : public testing::Test {
 protected:
  void SetUp() override {
    if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  }
  void TearDown() override { set_crossover_table(before_); }
  /// As if this had been measured on this device, for f64.
  static void measured(const DeviceCosts& costs) {
    const std::string device = cuda_backend()->description(0);
    set_crossover_table({"here",
                         CrossoverTable::shipped().rows(),
                         {{device, DType::f64, 64, costs}, {"else", DType::f32, 64, costs}}});
  }

 private:
  CrossoverTable before_ = crossover_table();
};

Case case_of(RandomStream& random) {
  Case c = random_case(random, Kind::mixed, 90, DType::f64, 8);
  c.bias = Tensor();
  return c;
}

/// 128 tokens that see all in some groups, and themselves alone in the others. In the first a head
/// has 4 tiles and 16,384 edges, in the second 2 tiles and 128 edges.
std::shared_ptr<const AttentionGraph> graph_of(const std::vector<bool>& group_is_dense,
                                               std::vector<int> group_of_head) {
  const auto groups = static_cast<int>(group_is_dense.size());
  return std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
      Tensor::from(std::vector<int64_t>{0, 128}), groups, std::move(group_of_head),
      [&](int g, int64_t, int64_t i, Runs& out) {
        const auto at = static_cast<int32_t>(i);
        group_is_dense[static_cast<size_t>(g)] ? append_run(out, 0, 128)
                                               : append_run(out, at, at + 1);
      }));
}
/// Of its kinds of heads the dense one is computed faster by tiles, 0.4 ms and not 0.492, and the
/// other one by edges, 0.004 ms and not 0.2.
constexpr DeviceCosts kNearCosts{1e5, 0, 0, 30, 0};

/// What the device holds of the heads' graphs.
int64_t bytes_there(const AttentionGraph& graph, const KernelChoice& choice,
                    AttentionKernel kernel) {
  std::set<const SequenceGraph*> graphs;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    graphs.insert(&graph.sequence(graph.group_of_head(choice.heads[0]), b));
  }
  int64_t bytes = 0;
  for (const SequenceGraph* each : graphs) {
    const kernels::SequenceSchedules& kept = each->schedules();
    bytes += kernel == AttentionKernel::edges ? kept.edges.bytes() : kept.tiles.bytes();
  }
  EXPECT_GT(bytes, 0);
  return bytes;
}

}  // namespace

TEST(DeviceWork, IsCountedAsItIsMade) {
  RandomStream random(51, Purpose::test);
  for (const Kind kind : {Kind::intervals, Kind::scattered, Kind::mixed}) {
    const Case c = random_case(random, kind, 300, DType::f32);
    for (int64_t b = 0; b < c.graph->sequences(); ++b) {
      const SequenceGraph& graph = c.graph->sequence(0, b);
      const kernels::SequenceTiles tiles = kernels::make_tiles(graph);
      TileCounts want;
      want.rows = tiles.blocks();
      for (const auto& entry : tiles.rows) {
        if (entry.mask == kernels::kFullTile) ++want.full;
        if (entry.mask == kernels::kIntervalTile) ++want.intervals;
        if (entry.mask >= 0) ++want.masked;
      }
      const TileCounts got = graph.schedules().counts.get(graph);
      EXPECT_EQ(std::tuple(got.full, got.intervals, got.masked, got.rows),
                std::tuple(want.full, want.intervals, want.masked, want.rows));
      EXPECT_EQ(got.bytes(), tiles.bytes());
      EXPECT_EQ(kernels::edges_bytes(graph), kernels::make_edges(graph).bytes());
    }
  }
}

TEST(DeviceWork, ForecastIsCountsTimesCosts) {
  // A row of 3 tiles, the last narrower: 130 tokens that see all, but for the first.
  const auto graph = AttentionGraph::from_rows(
      Tensor::from(std::vector<int64_t>{0, 130}), 1, {0, 0},
      [](int, int64_t, int64_t i, Runs& out) { append_run(out, i == 0 ? 1 : 0, 130); });
  const DeviceCosts costs{10, 3, 100, 0.5, 7};
  const double by_tiles = 9 * 10 + 1 * 3 + 3 * 100, by_edges = (130 * 130 - 1) * 0.5 + 130 * 7;
  for (const auto& [work, heads] :
       {std::pair(kernels::device_work(graph, 0), 1), std::pair(kernels::device_work(graph), 2)}) {
    EXPECT_DOUBLE_EQ(work.nanoseconds(AttentionKernel::tiles, costs), heads * by_tiles);
    EXPECT_DOUBLE_EQ(work.nanoseconds(AttentionKernel::edges, costs), heads * by_edges);
  }
}

TEST_F(DeviceChoice, IsTheLeastByTheCosts) {
  RandomStream random(52, Purpose::test);
  const AttentionUse use{DType::f64, 8};
  const auto chosen = [&](const AttentionUse& asked) {
    return device_kernel(*case_of(random).graph, testing_device::kCuda, asked);
  };
  EXPECT_EQ(chosen(use), AttentionKernel::tiles);  // nothing is measured
  measured(kDearTiles);
  EXPECT_EQ(chosen(use), AttentionKernel::edges);
  EXPECT_EQ(chosen({DType::f32, 8}), AttentionKernel::tiles);  // measured on another device alone
  EXPECT_EQ(chosen({DType::f64, 8, true}), AttentionKernel::tiles);
  EXPECT_EQ(chosen({DType::f64, 8, false, AttentionKernel::tiles}), AttentionKernel::tiles);
  measured(kDearEdges);
  EXPECT_EQ(chosen(use), AttentionKernel::tiles);
  EXPECT_EQ(chosen({DType::f64, 8, false, AttentionKernel::edges}), AttentionKernel::edges);
}

TEST_F(DeviceChoice, IsOneForAllHeads) {
  measured(kNearCosts);
  const auto chosen = [](const std::vector<bool>& group_is_dense, std::vector<int> group_of_head) {
    return device_kernel(*graph_of(group_is_dense, std::move(group_of_head)), testing_device::kCuda,
                         {DType::f64, 64});
  };
  EXPECT_EQ(chosen({true}, {0}), AttentionKernel::tiles);
  EXPECT_EQ(chosen({false}, {0}), AttentionKernel::edges);
  // Whichever group is the first, and by how many heads have it.
  EXPECT_EQ(chosen({true, false}, {0, 1}), AttentionKernel::edges);
  EXPECT_EQ(chosen({true, false}, {0, 0, 0, 1}), AttentionKernel::tiles);
  EXPECT_EQ(chosen({false, true}, {1, 0}), AttentionKernel::edges);
  EXPECT_EQ(chosen({false, true}, {1, 1, 1, 0}), AttentionKernel::tiles);
}

TEST_F(DeviceChoice, IsExplainedByWhatAllHeadsTake) {
  measured(kNearCosts);
  const LayerGraphs graphs{graph_of({true, false}, {0, 0, 0, 1})};
  const auto choices = explain(graphs, {DType::f64, 64}, testing_device::kCuda);
  ASSERT_EQ(choices.size(), 2u);
  for (const KernelChoice& choice : choices) {
    EXPECT_EQ(choice.kernel, AttentionKernel::tiles);
    EXPECT_EQ(choice.why, "the least over all heads: tiles 1.400, edges 1.478 ms; costs: here");
  }
  EXPECT_EQ(choices[1].heads, std::vector<int>{3});
  EXPECT_DOUBLE_EQ(choices[1].milliseconds.at(AttentionKernel::tiles), 0.2);
  EXPECT_DOUBLE_EQ(choices[1].milliseconds.at(AttentionKernel::edges), 0.00384);
}

TEST_F(DeviceChoice, ComputesTheSameEitherWay) {
  RandomStream random(53, Purpose::test);
  for (const DeviceCosts& costs : {kDearTiles, kDearEdges}) {
    measured(costs);
    for (int trial = 0; trial < 4; ++trial) {
      Case c = case_of(random);
      const Tensors want = run(sparse_attention, c);
      c.use(AttentionKernel::automatic, testing_device::kCuda);
      c.graph->prepare_for(testing_device::kCuda, {DType::f64, 8});
      const int64_t before = cuda_backend()->counters(0).uploads;
      sparse_attention(Variable(c.q.to(c.device)), Variable(c.k.to(c.device)),
                       Variable(c.v.to(c.device)), c.graph, c.options);
      EXPECT_EQ(cuda_backend()->counters(0).uploads, before + 3);  // q, k and v
      expect_close(run(sparse_attention, c), want, 1e-11, "on the device");
    }
  }
}

TEST_F(DeviceChoice, IsExplained) {
  RandomStream random(54, Purpose::test);
  const LayerGraphs graphs(2, case_of(random).graph);
  const AttentionGraph& graph = *graphs[0];
  const auto explained = [&](const AttentionUse& use) {
    return explain(graphs, use, testing_device::kCuda);
  };
  const AttentionUse use{DType::f64, 64};
  for (const KernelChoice& choice : explained(use)) {
    EXPECT_EQ(choice.kernel, AttentionKernel::tiles);
    EXPECT_EQ(choice.layers, (std::vector<int>{0, 1}));
    EXPECT_EQ(choice.sequences, graph.sequences());
    EXPECT_EQ(choice.tiles, choice.full + choice.by_intervals + choice.masked);
    EXPECT_EQ(choice.units, "cores");
    EXPECT_TRUE(choice.milliseconds.empty());
    EXPECT_THAT(choice.why, HasSubstr("f64 is not measured"));
    // As it then lies on the device.
    graph.prepare_for(testing_device::kCuda, use);
    EXPECT_EQ(choice.bytes, bytes_there(graph, choice, AttentionKernel::tiles));
  }
  EXPECT_THAT(explained({DType::f32, 64})[0].why, HasSubstr("bench crossover --device cuda:0 "));
  EXPECT_NE(explained({DType::bf16, 64})[0].units, "cores");  // tensor cores
  EXPECT_THAT(explained({DType::f64, 64, true})[0].why, HasSubstr("no bias and no gate"));
  EXPECT_EQ(explained({DType::f64, 64, false, AttentionKernel::edges})[0].why, "asked for");
  measured(kDearTiles);
  const auto again = LayerGraphs(1, case_of(random).graph);
  const KernelChoice choice = explain(again, use, testing_device::kCuda)[0];
  EXPECT_EQ(choice.kernel, AttentionKernel::edges);
  again[0]->prepare_for(testing_device::kCuda, use);
  EXPECT_EQ(choice.bytes, bytes_there(*again[0], choice, AttentionKernel::edges));
  EXPECT_DOUBLE_EQ(choice.milliseconds.at(AttentionKernel::edges),
                   static_cast<double>(choice.edges) / 1e6);
  EXPECT_THAT(choice.why, HasSubstr("costs: here"));
  // A graph that several sequences have counts once.
  const auto one = SequenceGraph::dense(100);
  const LayerGraphs shared{std::make_shared<AttentionGraph>(
      Tensor::from(std::vector<int64_t>{0, 100, 200}),
      std::vector<SequenceGraphs>(1, SequenceGraphs{one, one}), std::vector{0})};
  for (const AttentionKernel kernel : {AttentionKernel::tiles, AttentionKernel::edges}) {
    const AttentionUse asked{DType::f64, 64, false, kernel};
    const KernelChoice both = explain(shared, asked, testing_device::kCuda)[0];
    shared[0]->prepare_for(testing_device::kCuda, asked);
    EXPECT_EQ(both.bytes, bytes_there(*shared[0], both, kernel));
  }
  const std::string text = to_text({choice});
  for (const char* part : {"edges", "cores", "masked", "costs: here"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST_F(DeviceChoice, OfReachesThatAreDrawnIsTheirTiles) {
  const Tensor offsets = Tensor::from(std::vector<int64_t>{0, 300, 364, 664});
  const auto graph = std::make_shared<const AttentionGraph>(AttentionGraph::dense(offsets, 2));
  AttentionUse use{DType::bf16, 64, true};
  for (const int64_t reach : {0, 1, 64, 65, 1000}) {
    use.drawn_reach = reach;
    const auto choices = explain(LayerGraphs(3, graph), use, testing_device::kCuda);
    ASSERT_EQ(choices.size(), 1u);
    const KernelChoice& choice = choices[0];
    EXPECT_EQ(choice.kernel, AttentionKernel::tiles);
    EXPECT_NE(choice.units, "cores");
    EXPECT_THAT(choice.why, HasSubstr(fmt::format("up to {}:", reach)));
    const auto made = kernels::make_drawn_graph(offsets, 2, reach, nullptr, testing_device::kCuda);
    EXPECT_NEAR(static_cast<double>(choice.bytes), static_cast<double>(made.own.numel()), 4 * 16);
    // Of 5, 1 and 5 rows of tiles.
    const int64_t near = std::min<int64_t>((reach + 63) / 64, 4);
    const int64_t five = 5 * (2 * near + 1) - near * (near + 1);
    EXPECT_EQ(choice.tiles, 2 * five + 1);
    // The graph that is given goes nowhere.
    const int64_t before = cuda_backend()->counters(0).uploads;
    graph->prepare_for(testing_device::kCuda, use);
    EXPECT_EQ(cuda_backend()->counters(0).uploads, before);
  }
}

}  // namespace filigree
