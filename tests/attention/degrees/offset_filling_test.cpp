// Chosen distances under a budget: literal cases, and against every choice.
#include "attention/degrees/offset_filling.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"

namespace filigree {
namespace {

using ::testing::ElementsAre;

using Gates = std::vector<std::vector<double>>;

TEST(OffsetFilling, LiteralDistances) {
  DistanceCounts counts(3);
  counts.add(5);  // 5 always, c = 8, 6, 4
  const Gates gates{{1, 0.1, 0.9, 0.2}, {1, 0.5, 0, 0.6}};
  // 30 edges, 10 of them always: .9 (6), .6 (4), .5 (8), then .2 (4) does not fit.
  auto chosen = offset_filling(gates, counts, 30);
  EXPECT_THAT(chosen[0], ElementsAre(2));
  EXPECT_THAT(chosen[1], ElementsAre(1, 3));
  chosen = offset_filling(gates, counts, 32);
  EXPECT_THAT(chosen[0], ElementsAre(2, 3));
  chosen = offset_filling(gates, counts, 1000);
  EXPECT_THAT(chosen[0], ElementsAre(1, 2, 3));
  EXPECT_THAT(chosen[1], ElementsAre(1, 3));  // never what is worth nothing
  // Ties: the smaller distance, then the first head.
  chosen = offset_filling(Gates{{1, 0.5, 0.5, 0.5}, {1, 0.5, 0.5, 0.5}}, counts, 18);
  EXPECT_THAT(chosen[0], ElementsAre(1));
  EXPECT_TRUE(chosen[1].empty());
}

TEST(OffsetFilling, IsWithinOneDistanceOfTheOptimum) {
  RandomStream random(5, Purpose::test);
  for (int round = 0; round < 200; ++round) {
    constexpr int64_t kReach = 4;
    DistanceCounts counts(kReach);
    counts.add(1 + static_cast<int64_t>(random.below(8)));
    counts.add(1 + static_cast<int64_t>(random.below(8)));
    Gates gates(2, std::vector<double>(kReach + 1, 1));
    for (auto& gate : gates) {
      for (size_t d = 1; d < gate.size(); ++d) gate[d] = static_cast<double>(random.below(5)) / 4;
    }
    const int64_t always = 2 * counts.always();
    const int64_t budget = always + static_cast<int64_t>(random.below(60));
    double best = 0, dearest = 0;
    for (int choice = 0; choice < 256; ++choice) {  // every set of (head, distance)
      int64_t edges = always;
      double value = 0;
      for (int bit = 0; bit < 8; ++bit) {
        if ((choice >> bit) % 2 == 0) continue;
        const int64_t d = 1 + bit % 4;
        const double worth = static_cast<double>(counts.at(d)) *
                             gates[static_cast<size_t>(bit / 4)][static_cast<size_t>(d)];
        edges += counts.at(d);
        value += worth;
        dearest = std::max(dearest, worth);
      }
      if (edges <= budget) best = std::max(best, value);
    }
    int64_t edges = always;
    double value = 0;
    const auto chosen = offset_filling(gates, counts, budget);
    for (size_t h = 0; h < 2; ++h) {
      for (const int64_t d : chosen[h]) {
        edges += counts.at(d);
        value += static_cast<double>(counts.at(d)) * gates[h][static_cast<size_t>(d)];
      }
    }
    EXPECT_LE(edges, budget);
    EXPECT_LE(value, best + 1e-12);
    EXPECT_GE(value, best - dearest - 1e-12);
  }
}

TEST(OffsetFilling, WrongInputIsRefused) {
  DistanceCounts counts(2);
  counts.add(4);
  EXPECT_THROW(offset_filling(Gates{{1, 0.5}}, counts, 10), ShapeError);
  EXPECT_THROW(offset_filling(Gates{{1, 0.5, 1.5}}, counts, 10), NumericError);
  EXPECT_THROW(offset_filling(Gates{{1, 0.5, NAN}}, counts, 10), NumericError);
  EXPECT_THROW(offset_filling(Gates{{1, 0.5, 0.5}}, counts, 3), ConfigError);
}

}  // namespace
}  // namespace filigree
