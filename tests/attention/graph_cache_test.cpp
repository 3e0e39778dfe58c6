// Which graphs are made once and found again, and how many are kept.
#include "attention/graph_cache.h"

#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <string>

#include "attention/kernels/schedule.h"
#include "attention/placement.h"
#include "core/error.h"

namespace filigree {

// Graphs that were made before come back where, and only where, nothing that the pattern looks at
// differs: then they are the same objects.
TEST(AttentionPlan, FindsTheGraphsOfSequencesThatAreEqualInWhatMatters) {
  struct Batch {
    std::vector<int64_t> offsets{0, 5, 9}, samples{1, 2};
    std::vector<int32_t> ids{1, 2, 3, 4, 5, 1, 2, 3, 4};
    std::vector<uint8_t> special{1, 0, 0, 0, 1, 1, 0, 0, 1};
    std::vector<int32_t> words{-1, 0, 1, 2, -1, -1, 0, 1, -1},
        heads{-1, 1, -1, 1, -1, -1, 1, -1, -1};
    std::vector<int32_t> classes{-1, 0, 1, 0, -1, -1, 0, 0, -1};
  };
  const auto build = [](const AttentionPlan& plan, const Batch& b, uint64_t seed, uint64_t step) {
    return plan.build(
        {Tensor::from(b.offsets), b.ids, b.special, b.samples, b.words, b.heads, b.classes}, seed,
        step);
  };
  struct Change {
    std::string name;
    std::function<void(Batch&)> make;
    std::set<std::string> matters;  // patterns that must not take the old graphs
  };
  const std::vector<Change> changes{
      {"nothing", [](Batch&) {}, {}},
      {"sample",
       [](Batch& b) {
         b.samples = {3, 2};
       },
       {"random:2,per=example"}},
      {"ids", [](Batch& b) { b.ids[1] = 9; }, {"neighbour:3*0.5"}},
      {"special", [](Batch& b) { b.special[4] = 0; }, {"global:special"}},
      {"heads",
       [](Batch& b) { b.heads[1] = 2; },
       {"syntax:1", "shuffled(syntax:1)", "rewired(syntax:1)|global:cls"}},
      {"words",
       [](Batch& b) { b.words[2] = 0; },
       {"syntax:1", "shuffled(syntax:1)", "rewired(syntax:1)|global:cls"}},
      {"classes", [](Batch& b) { b.classes[1] = 1; }, {"lexical:same"}},
  };
  for (const char* pattern :
       {"neighbour:1", "random:2", "global:cls | random:1", "bigbird:1,1,1", "random:2,per=example",
        "neighbour:3*0.5", "global:special", "syntax:1", "lexical:same", "shuffled(syntax:1)",
        "rewired(syntax:1)|global:cls"}) {
    const AttentionPlan plan(pattern, "all", "0", 2, 2);
    const LayerGraphs before = build(plan, {}, 1, 0);
    for (const Change& change : changes) {
      SCOPED_TRACE(std::string(pattern) + " under another " + change.name);
      Batch batch;
      change.make(batch);
      const LayerGraphs after = build(plan, batch, 1, 7);
      const AttentionPlan fresh(pattern, "all", "0", 2, 2);
      const LayerGraphs want = build(fresh, batch, 1, 7);
      for (int64_t b = 0; b < 2; ++b) {
        const bool found = after[1]->shared_sequence(0, b) == before[1]->shared_sequence(0, b);
        EXPECT_EQ(found, b == 1 || !change.matters.contains(pattern)) << "sequence " << b;
        for (size_t l = 0; l < 2; ++l) {
          for (int g = 0; g < after[l]->groups(); ++g) {
            EXPECT_EQ(after[l]->sequence(g, b).parts(), want[l]->sequence(g, b).parts());
          }
        }
      }
    }
    const bool drawn = std::string(pattern).find("random") != std::string::npos ||
                       std::string(pattern).find("bigbird") != std::string::npos ||
                       std::string(pattern).find('*') != std::string::npos;
    const LayerGraphs other_seed = build(plan, {}, 2, 0);
    EXPECT_TRUE(!drawn ||
                other_seed[1]->sequence(0, 0).parts() != before[1]->sequence(0, 0).parts());
  }
  const AttentionPlan plan("random:2,per=step", "all", "all", 1, 1);
  EXPECT_NE(build(plan, {}, 1, 0)[0]->sequence(0, 0).parts(),
            build(plan, {}, 1, 1)[0]->sequence(0, 0).parts());
}

TEST(AttentionPlan, SequencesOfABatchShareTheirGraphs) {
  const AttentionPlan plan("neighbour:2 | random:3", "all", "all", 1, 2);
  SequenceBatch batch;
  batch.offsets = Tensor::from(std::vector<int64_t>{0, 30, 37, 67, 97});
  const LayerGraphs graphs = plan.build(batch, 1, 0);
  const AttentionGraph& graph = *graphs[0];
  EXPECT_EQ(&graph.sequence(0, 0), &graph.sequence(0, 2));
  EXPECT_EQ(&graph.sequence(0, 0), &graph.sequence(0, 3));
  EXPECT_NE(&graph.sequence(0, 0), &graph.sequence(0, 1));
  EXPECT_NE(&graph.sequence(0, 0), &graph.sequence(1, 0));
  EXPECT_EQ(graph.group_bytes(0), graph.sequence(0, 0).bytes() + graph.sequence(0, 1).bytes());
}

TEST(AttentionPlan, RefusesABatchWhosePartsDoNotFit) {
  const AttentionPlan plan("neighbour:2", "all", "all", 1, 1);
  const std::vector<int32_t> three{1, 2, 3};
  const std::vector<int64_t> one{1};
  for (const std::vector<int64_t>& offsets :
       std::vector<std::vector<int64_t>>{{}, {1, 4}, {0, 60, 5}}) {
    EXPECT_THROW(plan.build({Tensor::from(offsets), {}, {}, {}}, 1, 0), DataError);
  }
  EXPECT_NO_THROW(plan.build({Tensor::from(std::vector<int64_t>{0, 3}), three, {}, one}, 1, 0));
  EXPECT_THROW(plan.build({Tensor::from(std::vector<int64_t>{0, 4}), three, {}, one}, 1, 0),
               ShapeError);
  EXPECT_THROW(plan.build({Tensor::from(std::vector<int64_t>{0, 1, 3}), three, {}, one}, 1, 0),
               ShapeError);
}

TEST(GraphCacheTest, KeepsThoseUsedLastWithinItsLimit) {
  const auto graphs = [](int64_t length) {
    return std::make_shared<const SequenceGraphs>(SequenceGraphs{SequenceGraph::dense(length)});
  };
  const ContentHash a{1, 0}, b{2, 0}, c{2, 1}, d{3, 0};
  GraphCache cache(30000);  // three of 1000 tokens at 8 bytes, and what they need besides
  cache.keep(a, graphs(1000));
  cache.keep(b, graphs(1000));
  cache.keep(c, graphs(1000));
  const int64_t three = cache.bytes();
  EXPECT_GE(three, 24000);
  ASSERT_TRUE(cache.find(a));
  cache.keep(d, graphs(1000));  // b is the one not used for longest
  EXPECT_FALSE(cache.find(b));
  EXPECT_TRUE(cache.find(a) && cache.find(c) && cache.find(d));
  EXPECT_EQ(cache.bytes(), three);
  cache.keep(b, graphs(10000));  // larger than the limit
  EXPECT_FALSE(cache.find(b));
  EXPECT_TRUE(cache.find(a));
  // What the kernels work out counts too, and is dropped with its graph if it is too much.
  GraphCache scheduled(1 << 20);
  const auto keep = [&](const ContentHash& key, int64_t length) {
    const auto made = graphs(length);
    scheduled.keep(key, made);
    made->front()->schedules().get(*made->front(), AttentionKernel::edges, DType::f32, 64);
  };
  keep(a, 100);
  const int64_t without = scheduled.bytes();
  scheduled.recount();
  EXPECT_GE(scheduled.bytes(), without + 4 * 100 * 100);
  // So does what they work out later, about graphs that are found again: edges after tiles.
  const int64_t with = scheduled.bytes();
  for (int batch = 0; batch < 2; ++batch) {
    const auto found = scheduled.find(a);
    ASSERT_TRUE(found);
    found->front()->schedules().edges.put({DeviceType::cuda, batch}, nullptr, {}, 5000);
    scheduled.recount();
    EXPECT_EQ(scheduled.bytes(), with + 5000 * (batch + 1));
    scheduled.recount();
    EXPECT_EQ(scheduled.bytes(), with + 5000 * (batch + 1));
  }
  keep(b, 900);
  scheduled.recount();
  EXPECT_LE(scheduled.bytes(), 1 << 20);
  EXPECT_FALSE(scheduled.find(b));
}

}  // namespace filigree
