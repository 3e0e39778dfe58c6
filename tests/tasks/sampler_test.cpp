// The sampler: every sample once an epoch over all ranks, a pure function of its settings.
#include "tasks/dataset/sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <set>

#include "core/error.h"

namespace filigree {

namespace {

struct Case {
  std::vector<int64_t> lengths;
  SamplerOptions options;
};

Case any_case() {
  Case c;
  c.options.world_size = *rc::gen::inRange(1, 5);
  const int samples = *rc::gen::inRange(c.options.world_size, 200);
  for (int i = 0; i < samples; ++i) c.lengths.push_back(*rc::gen::inRange(1, 60));
  c.options.token_budget = *rc::gen::inRange(1, 300);
  c.options.max_sequences = *rc::gen::inRange(0, 10);
  c.options.shuffle = *rc::gen::arbitrary<bool>();
  c.options.seed = *rc::gen::arbitrary<uint64_t>();
  return c;
}

}  // namespace

TEST(Sampler, EverySampleOnceAnEpochOverAllRanksWithinTheBudget) {
  const bool passed = rc::check([] {
    Case c = any_case();
    SamplerOptions alone = c.options;
    alone.world_size = 1;
    // Too few batches for an equal share of each rank, and none to divide: some are paired.
    const auto share = Sampler(c.lengths, alone).batches_per_epoch() / c.options.world_size;
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      std::multiset<int64_t> seen;
      int64_t batches = -1;
      for (c.options.rank = 0; c.options.rank < c.options.world_size; ++c.options.rank) {
        const Sampler sampler(c.lengths, c.options);
        if (batches >= 0) RC_ASSERT(sampler.batches_per_epoch() == batches);
        batches = sampler.batches_per_epoch();
        for (int64_t b = 0; b < batches; ++b) {
          const std::vector<int64_t> batch = sampler.batch(epoch * batches + b);
          RC_ASSERT(!batch.empty());
          int64_t tokens = 0;
          for (const int64_t sample : batch) {
            seen.insert(sample);
            tokens += c.lengths[static_cast<size_t>(sample)];
          }
          const bool paired =
              batches <= share && batch.size() == 2 &&
              batches * c.options.world_size != Sampler(c.lengths, alone).batches_per_epoch();
          RC_ASSERT(batch.size() == 1 || paired || tokens <= c.options.token_budget);
          const auto most = static_cast<size_t>(c.options.max_sequences);
          RC_ASSERT(most == 0 || paired || batch.size() <= most);
        }
      }
      RC_ASSERT(seen.size() == c.lengths.size());
      RC_ASSERT(std::set<int64_t>(seen.begin(), seen.end()).size() == seen.size());
    }
  });
  EXPECT_TRUE(passed);
}

TEST(Sampler, IsAPureFunctionOfTheCursor) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 100; ++i) lengths.push_back(1 + i % 17);
  SamplerOptions options;
  options.token_budget = 40;
  const Sampler a(lengths, options), b(lengths, options);
  const int64_t count = 3 * a.batches_per_epoch();
  std::vector<std::vector<int64_t>> forward;
  for (int64_t i = 0; i < count; ++i) forward.push_back(a.batch(i));
  for (int64_t i = count - 1; i >= 0; --i) {
    EXPECT_EQ(b.batch(i), forward[static_cast<size_t>(i)]);
  }
  options.seed = 1;
  EXPECT_NE(Sampler(lengths, options).batch(0), forward[0]);
  EXPECT_NE(forward[0], forward[static_cast<size_t>(a.batches_per_epoch())]);  // another epoch
}

TEST(Sampler, WithoutShufflingKeepsTheOrder) {
  SamplerOptions options;
  options.shuffle = false;
  options.token_budget = 10;
  const Sampler sampler(std::vector<int64_t>{4, 4, 4, 12, 1}, options);
  EXPECT_EQ(sampler.batch(0), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(sampler.batch(1), (std::vector<int64_t>{2}));
  EXPECT_EQ(sampler.batch(2), (std::vector<int64_t>{3}));
  EXPECT_EQ(sampler.batch(3), (std::vector<int64_t>{4}));
}

TEST(Sampler, RefusesSettingsWithoutSense) {
  SamplerOptions options;
  EXPECT_THROW(Sampler(std::vector<int64_t>{}, options), DataError);
  options.token_budget = 0;
  EXPECT_THROW(Sampler(std::vector<int64_t>{1}, options), ConfigError);
  options = {};
  options.rank = 1;
  EXPECT_THROW(Sampler(std::vector<int64_t>{1}, options), ConfigError);
  options.world_size = 2;
  EXPECT_THROW(Sampler(std::vector<int64_t>{1}, options), DataError);
}

TEST(Sampler, WindowsHoldEverySampleOnceAndOneIsDoneBeforeTheNext) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 1000; ++i) lengths.push_back(5 + i % 13);
  SamplerOptions options;
  options.token_budget = 60;
  options.window = 300;  // four of 250
  for (const int world : {1, 3}) {
    options.world_size = world;
    std::vector<Sampler> ranks;
    for (options.rank = 0; options.rank < world; ++options.rank)
      ranks.emplace_back(lengths, options);
    const int64_t count = ranks[0].batches_per_epoch();
    std::vector<std::vector<int64_t>> orders;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int64_t> order, windows;
      for (int64_t c = 0; c < count; ++c) {
        for (const Sampler& rank : ranks) {
          ASSERT_EQ(rank.batches_per_epoch(), count);
          int64_t tokens = 0;
          for (const int64_t sample : rank.batch(epoch * count + c)) {
            order.push_back(sample);
            tokens += lengths[static_cast<size_t>(sample)];
            if (windows.empty() || windows.back() != sample / 250) windows.push_back(sample / 250);
          }
          EXPECT_LE(tokens, 60);
        }
      }
      EXPECT_EQ(windows.size(), 4u);
      std::vector<int64_t> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(sorted[static_cast<size_t>(i)], i);
      orders.push_back(order);
    }
    EXPECT_NE(orders[0], orders[1]);
    // Any place can be asked for at any time.
    const Sampler fresh(lengths, ranks[0].options());
    EXPECT_EQ(fresh.batch(2 * count + 5), ranks[0].batch(2 * count + 5));
    EXPECT_EQ(fresh.batch(3), ranks[0].batch(3));
  }
  options.world_size = 1;
  options.rank = 0;
  options.shuffle = false;
  const Sampler plain(lengths, options);
  int64_t next = 0;
  for (int64_t c = 0; c < plain.batches_per_epoch(); ++c) {
    for (const int64_t sample : plain.batch(c)) EXPECT_EQ(sample, next++);
  }
  EXPECT_EQ(next, 1000);
}

}  // namespace filigree
