// The tiles of graphs on a device: sent once, shared by all batches that have the graph, freed with
// it.
#include <gtest/gtest.h>

#include "attention/kernels/schedule.h"
#include "core/allocator.h"
#include "core/device_backend.h"
#include "tests/attention/attention_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

/// A sequence whose tokens see themselves and a tenth of the others.
std::shared_ptr<const SequenceGraph> scattered(RandomStream& random, int64_t n) {
  return SequenceGraph::from_rows(n, [&](int64_t i, Runs& out) {
    for (int64_t j = 0; j < n; ++j) {
      if (j == i || random.below(10) == 0) append_run(out, j, j + 1);
    }
  });
}

/// Two heads of one graph each: in the second the sequences stand for those of the first, so that
/// both heads have the same.
std::shared_ptr<const AttentionGraph> batch_of(const SequenceGraphs& sequences) {
  std::vector<int64_t> offsets{0};
  for (const auto& sequence : sequences) offsets.push_back(offsets.back() + sequence->length());
  return std::make_shared<AttentionGraph>(Tensor::from(offsets),
                                          std::vector<SequenceGraphs>{sequences, sequences},
                                          std::vector<int>{0, 1});
}

void expect_attention_of(const std::shared_ptr<const AttentionGraph>& graph, RandomStream& random) {
  Case c;
  c.graph = graph;
  for (Tensor* tensor : {&c.q, &c.k, &c.v, &c.seed}) {
    *tensor = random_tensor(random, {graph->tokens(), 2 * 4}, DType::f64);
  }
  const Tensors want = run(sparse_attention, c);
  for (const AttentionKernel kernel : {AttentionKernel::tiles, AttentionKernel::edges}) {
    c.use(kernel, testing_device::kCuda);
    expect_close(run(sparse_attention, c), want, 1e-11, "on the device");
  }
}

class DeviceGraphs : public testing::Test {
 protected:
  void SetUp() override {
    if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  }
  static int64_t uploads() { return backend_of(testing_device::kCuda).counters(0).uploads; }
  static int64_t in_use() { return memory_stats(testing_device::kCuda).in_use; }
  /// Copies to the device that making the batch ready takes.
  static int64_t uploads_for(const AttentionGraph& graph,
                             AttentionKernel kernel = AttentionKernel::tiles) {
    const int64_t before = uploads();
    graph.prepare_for(testing_device::kCuda, {DType::f64, 4, false, kernel});
    return uploads() - before;
  }
};

}  // namespace

TEST_F(DeviceGraphs, GoThereOnce) {
  RandomStream random(71, Purpose::test);
  const auto large = scattered(random, 700);  // of 121 masks: a copy by itself
  const auto first = scattered(random, 65), second = scattered(random, 64);
  const auto a = batch_of({first, large, second});
  EXPECT_EQ(uploads_for(*a), 3);  // the large one, the small ones, the table
  EXPECT_EQ(uploads_for(*a), 0);
  const auto b = batch_of({second, first, second, large});
  EXPECT_EQ(uploads_for(*b), 1);  // the table
  const auto c = batch_of({second, scattered(random, 10), first});
  EXPECT_EQ(uploads_for(*c), 2);  // what is new, and the table
  for (const auto& graph : {a, b, c}) expect_attention_of(graph, random);
}

TEST_F(DeviceGraphs, GoThereOnceAsEdges) {
  RandomStream random(76, Purpose::test);
  const auto large = scattered(random, 700), first = scattered(random, 65);
  const auto a = batch_of({first, large, scattered(random, 64)});
  EXPECT_EQ(uploads_for(*a, AttentionKernel::edges), 3);
  EXPECT_EQ(uploads_for(*a, AttentionKernel::edges), 0);
  const auto b = batch_of({first, large, first});
  EXPECT_EQ(uploads_for(*b, AttentionKernel::edges), 1);
  EXPECT_EQ(uploads_for(*b), 3);  // tiles are something else
  EXPECT_GT(large->schedules().edges.bytes(), 700 * 70 * 8);
  for (const auto& graph : {a, b}) expect_attention_of(graph, random);
}

TEST_F(DeviceGraphs, AreFreedWithTheLastOfThem) {
  RandomStream random(72, Purpose::test);
  const int64_t before = in_use();
  auto kept = scattered(random, 30);
  {
    const auto large = scattered(random, 700);
    const auto batch = batch_of({kept, large, scattered(random, 40)});
    batch->prepare_for(testing_device::kCuda, {DType::f64, 4});
    const kernels::KeptTables<kernels::DeviceTiles>& tiles = large->schedules().tiles;
    EXPECT_GT(tiles.bytes(), 121 * 512);
    EXPECT_GT(in_use(), before + tiles.bytes());
  }
  EXPECT_GT(in_use(), before);
  EXPECT_LT(in_use(), before + (int64_t{1} << 18));
  const auto again = batch_of({kept, kept});
  expect_attention_of(again, random);  // what it stood beside is gone
  EXPECT_EQ(uploads_for(*again), 0);
  kept.reset();
}

TEST_F(DeviceGraphs, ManySmallOnesGoTogether) {
  RandomStream random(73, Purpose::test);
  SequenceGraphs many;
  for (int64_t n = 1; n <= 100; ++n) many.push_back(scattered(random, n));
  const auto graph = batch_of(many);
  const int64_t copies = uploads_for(*graph);
  EXPECT_LT(copies, 10);
  EXPECT_GT(copies, 1);
  expect_attention_of(graph, random);
}

// As the layers of a model that learn a soft gate do it.
TEST_F(DeviceGraphs, FlagsOfAGateGoThereOnce) {
  RandomStream random(75, Purpose::test);
  const auto graph = batch_of({scattered(random, 70), scattered(random, 9)});
  const auto on = [](const Tensor& tensor) { return Variable(tensor.to(testing_device::kCuda)); };
  const Variable q = on(random_tensor(random, {79, 8}, DType::f64)),
                 g = on(Tensor::full({2, 6}, 0.5, DType::f64));
  const auto always = [](int32_t token) {
    return std::make_shared<const AlwaysOn>(AlwaysOn{{0, 1, 1}, {token}});
  };
  const auto attend = [&](const std::shared_ptr<const AlwaysOn>& on_always) {
    const int64_t before = uploads();
    const Tensor o = gated_attention(q, q, q, graph, {g, on_always}).value().to(kCpu);
    return std::pair(o, uploads() - before);
  };
  graph->prepare_for(testing_device::kCuda, {DType::f64, 4, true});
  const auto first = always(3), other = always(40);
  const auto [o, copies] = attend(first);
  const auto [again, none] = attend(first);
  const auto [differs, one] = attend(other);
  EXPECT_EQ(copies, none + 1);  // what the gate itself takes, and the flags
  EXPECT_EQ(one, none + 1);
  expect_same_bits({again}, {o}, "twice");
  EXPECT_GT(largest_difference(differs, o), 1e-3);
  expect_same_bits({attend(first).first}, {o}, "and back");
}

TEST_F(DeviceGraphs, EmptySequencesAndBatches) {
  RandomStream random(74, Purpose::test);
  const auto nothing = SequenceGraph::dense(0);
  expect_attention_of(batch_of({nothing, scattered(random, 20), nothing}), random);
  expect_attention_of(batch_of({nothing}), random);
  expect_attention_of(batch_of({scattered(random, 1), scattered(random, 1)}), random);
  expect_attention_of(batch_of({}), random);
}

}  // namespace filigree
