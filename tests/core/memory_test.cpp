#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <omp.h>
#include <thread>
#include <vector>

#include "core/allocator.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/tensor.h"

namespace filigree {
namespace {

TEST(Allocator, ReusesWhatWasFreed) {
  release_cached();
  const MemoryStats before = memory_stats();
  { Tensor a({1000, 100}); }
  const MemoryStats once = memory_stats();
  EXPECT_EQ(once.in_use, before.in_use);
  for (int i = 0; i < 100; ++i) Tensor a({1000, 100});
  const MemoryStats after = memory_stats();
  EXPECT_EQ(after.system_calls, once.system_calls);
  EXPECT_EQ(after.requests, once.requests + 100);
  EXPECT_EQ(after.cached, once.cached);
  EXPECT_GE(after.peak, before.in_use + 400000);
  release_cached();
  EXPECT_EQ(memory_stats().cached, 0);
}

TEST(Allocator, AlignsAndRoundsWithLittleWaste) {
  for (int64_t bytes = 1; bytes < (int64_t{1} << 24); bytes = bytes * 3 + 1) {
    const int64_t before = memory_stats().in_use;
    void* block = allocate(kCpu, bytes);
    const int64_t taken = memory_stats().in_use - before;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
    EXPECT_GE(taken, bytes);
    EXPECT_LE(static_cast<double>(taken), static_cast<double>(bytes) * 1.125 + 64);
    deallocate(kCpu, block);
  }
}

TEST(Allocator, SizesThatNeverComeBackDoNotPileUp) {
  release_cached();
  constexpr int64_t kMiB = 1 << 20;
  // Blocks of 200 sizes, one at a time: 10 to 110 MiB each, 12 GiB in all.
  int64_t most = 0;
  for (int64_t i = 0; i < 200; ++i) {
    deallocate(kCpu, allocate(kCpu, 10 * kMiB + i * kMiB / 2));
    most = std::max(most, memory_stats().cached);
  }
  EXPECT_LE(most, (110 + 28 + 64 + 16) * kMiB + memory_stats().in_use);
  release_cached();
}

TEST(Allocator, LimitIsAnErrorThatNamesTheSize) {
  release_cached();
  set_memory_limit(memory_stats().in_use + (1 << 20));
  try {
    Tensor a({1 << 20});
    ADD_FAILURE() << "no error";
  } catch (const MemoryError& error) {
    EXPECT_NE(std::string(error.what()).find("4.0 MiB"), std::string::npos) << error.what();
  }
  EXPECT_NO_THROW(Tensor({1 << 10}));
  set_memory_limit(0);
  EXPECT_THROW(Tensor({std::numeric_limits<int64_t>::max() / 8}), MemoryError);
  EXPECT_THROW(Tensor({std::numeric_limits<int64_t>::max() / 2}), MemoryError);
}

TEST(Allocator, IsSafeFromManyThreads) {
  const int64_t before = memory_stats().in_use;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 1; i < 500; ++i) {
        Tensor a({i * (t + 1)});
        a.fill(t);
        EXPECT_EQ(a.at(i - 1), t);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(memory_stats().in_use, before);
}

TEST(HumanBytes, PicksTheUnit) {
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(int64_t{3} << 30), "3.0 GiB");
}

// Known-answer tests of Random123's kat_vectors for philox4x32-10.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox(0, 0, 0), (RandomBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(UINT64_MAX, UINT64_MAX, UINT64_MAX),
            (RandomBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
            (RandomBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, IsAFunctionOfItsKey) {
  RandomStream a(1, Purpose::test, {2, 3}), b(1, Purpose::test, {2, 3});
  RandomStream other(1, Purpose::test, {3, 2}), purpose(1, Purpose::init, {2, 3});
  int equal = 0;
  for (int i = 0; i < 100; ++i) {
    const uint64_t bits = a.bits64();
    EXPECT_EQ(bits, b.bits64());
    equal += bits == other.bits64();
    equal += bits == purpose.bits64();
  }
  EXPECT_EQ(equal, 0);
}

// Bounds of five standard deviations: a wrong generator fails, a right one practically never.
TEST(RandomStream, HasTheRightMoments) {
  RandomStream random(7, Purpose::test);
  constexpr int kCount = 100000;
  double sum = 0, squares = 0, uniform = 0;
  std::vector<int> counts(6);
  for (int i = 0; i < kCount; ++i) {
    const double z = random.normal();
    sum += z;
    squares += z * z;
    const double u = random.uniform();
    EXPECT_GE(u, 0);
    EXPECT_LT(u, 1);
    uniform += u;
    ++counts[random.below(6)];
  }
  EXPECT_NEAR(sum / kCount, 0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1, 5 * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(uniform / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  for (const int count : counts) {
    EXPECT_NEAR(count, kCount / 6.0, 5 * std::sqrt(kCount * 5.0 / 36));
  }
}

TEST(Parallel, RangesDoNotDependOnTheThreads) {
  std::vector<std::vector<std::pair<int64_t, int64_t>>> seen;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    std::vector<std::pair<int64_t, int64_t>> ranges(4);
    parallel_ranges(10, 3, [&](int64_t first, int64_t last) {
      ranges[static_cast<size_t>(first / 3)] = {first, last};
    });
    seen.push_back(ranges);
  }
  set_thread_count(omp_get_num_procs());
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_EQ(seen[0], seen[2]);
  EXPECT_EQ(seen[0].back(), (std::pair<int64_t, int64_t>{9, 10}));
  EXPECT_THROW(set_thread_count(0), ConfigError);
}

TEST(Parallel, CarriesExceptions) {
  EXPECT_THROW(parallel_for(100, 1,
                            [](int64_t i) {
                              if (i == 57) throw DataError("here", "boom");
                            }),
               DataError);
  int64_t visits = 0;
  parallel_for(0, 8, [&](int64_t) { ++visits; });
  EXPECT_EQ(visits, 0);
}

}  // namespace
}  // namespace filigree
