// Frozen irregular reaches: how near to the distribution they come, position by position.
#include "attention/degrees/hard_reach.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <numbers>

#include "attention/sequence_graph.h"
#include "core/error.h"
#include "tests/attention/degrees/any_distribution.h"
#include "tests/error_text.h"

namespace filigree {
namespace {

using namespace testing_degrees;
using ::filigree::testing::error_of;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kLongest = 4096;
const double kOfAStretch = 1 + 1 / std::sqrt(5.0);

/// Terms of n's Zeckendorf representation, by taking the largest Fibonacci number again and again.
int zeckendorf_terms(int64_t n) {
  int terms = 0;
  for (; n > 0; ++terms) {
    int64_t a = 1, b = 1;
    while (b <= n) b = std::exchange(a, b) + b;
    n -= a;
  }
  return terms;
}

/// For every n to kLongest the largest | tokens in an arc - n * length | over all arcs of the
/// circle, of the first n golden points: one reach's cut and the shift of a head make any arc.
std::vector<double> worst_of_all_arcs() {
  std::vector<double> points, worst{0};
  for (int64_t n = 1; n <= kLongest; ++n) {
    const double turn = static_cast<double>(n - 1) / std::numbers::phi;
    const double point = turn - std::floor(turn);
    points.insert(std::upper_bound(points.begin(), points.end(), point), point);
    double most = -1e9, least = 1e9;
    for (size_t i = 0; i < points.size(); ++i) {
      const double over = static_cast<double>(i) - static_cast<double>(n) * points[i];
      most = std::max(most, over);
      least = std::min(least, over);
    }
    worst.push_back(1 + most - least);
  }
  return worst;
}

}  // namespace

TEST(HardReach, Regular) {
  const HardReach reach(3);
  EXPECT_TRUE(reach.regular());
  EXPECT_EQ(reach.largest(), 3);
  EXPECT_THAT(reach.of_sequence(5), ElementsAre(3, 3, 3, 3, 3));
  EXPECT_TRUE(reach.of_sequence(0).empty());
}

// What hard_reach.h says of the golden rotation, for every p and shift: the stretches' bound, one
// stretch's, and the largest of all.
TEST(HardReach, TheGoldenPointsAreAsEvenAsProven) {
  const std::vector<double> worst = worst_of_all_arcs();
  for (int64_t n = 1; n <= kLongest; ++n) {
    ASSERT_LT(worst[static_cast<size_t>(n)], kOfAStretch * zeckendorf_terms(n)) << n;
  }
  const auto most = std::max_element(worst.begin(), worst.end());
  EXPECT_EQ(most - worst.begin(), 3740);
  EXPECT_NEAR(*most, 4.29, 0.005);
}

// And that reaches are no further from their distribution than the points allow: after every token
// of a long sequence, at every cut. At Fibonacci lengths that is within 1.45 tokens.
TEST(HardReach, IsDistributedAsPAfterEveryToken) {
  const std::vector<double> worst = worst_of_all_arcs();
  EXPECT_TRUE(rc::check([&] {
    const Reaches reaches = any_reaches(12);
    const std::vector<double> p = any_probabilities(reaches);
    const HardReach reach(reaches, p, any_whole(0, 1 << 20) * 0x1p-20);
    std::vector<int64_t> within(p.size());  // tokens with a reach of at most r_k
    for (int64_t n = 1; n <= kLongest; ++n) {
      const int64_t drawn = reach.of(n - 1);
      double upto = 0;
      for (size_t k = 0; k < p.size(); ++k) {
        within[k] += drawn <= reaches.values()[k];
        upto += p[k];
        const double off = static_cast<double>(within[k]) - static_cast<double>(n) * upto;
        RC_ASSERT(std::abs(off) <= worst[static_cast<size_t>(n)] + 1e-9);
      }
    }
  }));
}

// F^-1(u) is the first reach whose F exceeds u; and u is the golden rotation, far out too.
TEST(HardReach, FollowsItsFormula) {
  EXPECT_EQ(HardReach(Reaches::up_to(1), {0.25, 0.75}, 0.25).of(0), 1);
  EXPECT_EQ(HardReach(Reaches::up_to(1), {0.25, 0.75}, std::nextafter(0.25, 0)).of(0), 0);
  constexpr int64_t kReaches = 128;
  const HardReach reach(Reaches::up_to(kReaches - 1), std::vector<double>(kReaches, 1.0 / kReaches),
                        0.125);
  for (const int64_t start : {int64_t{0}, int64_t{1} << 20, int64_t{1} << 40}) {
    for (int64_t i = start; i < start + 1000; ++i) {
      const long double turn =
          0.125L + static_cast<long double>(i) / std::numbers::phi_v<long double>;
      const long double cut = kReaches * (turn - std::floor(turn));
      if (std::abs(cut - std::round(cut)) < 1e-4L) continue;  // rounding decides
      ASSERT_EQ(reach.of(i), static_cast<int64_t>(cut)) << i;
    }
  }
}

// The rotation loses nothing on the way: a stretch far out is as even as the first.
TEST(HardReach, FarPositionsAreAsEven) {
  const HardReach reach(Reaches::up_to(1), {0.3, 0.7}, 0.25);
  for (const int64_t start : {int64_t{1} << 20, int64_t{1} << 40, int64_t{1} << 62}) {
    int64_t within = 0;
    for (int64_t i = 0; i < 987; ++i) within += reach.of(start + i) == 0;
    EXPECT_LT(std::abs(static_cast<double>(within) - 0.3 * 987), kOfAStretch) << start;
  }
}

TEST(HardReach, WhatCannotBeDoesNotOccur) {
  const Reaches reaches = Reaches::up_to(4);
  const HardReach reach(reaches, {0, 0.1, 0, 0.9, 0}, 0.999999);
  EXPECT_THAT(reach.of_sequence(1000), Each(::testing::AnyOf(1, 3)));
  // Shares whose rounded sum is below 1, with an impossible reach behind them.
  const HardReach tenths(Reaches::up_to(10),
                         std::vector<double>{.1, .1, .1, .1, .1, .1, .1, .1, .1, .1, 0},
                         std::nextafter(1.0, 0.0));
  EXPECT_EQ(tenths.of(0), 9);
}

TEST(HardReach, ComesBackFromWhatIsSaved) {
  const Reaches reaches = Reaches::up_to(6);
  const HardReach reach(reaches, {0.1, 0.2, 0.05, 0.15, 0.2, 0.2, 0.1}, 0.7182818284590452);
  EXPECT_FALSE(reach.regular());
  const auto p = reach.probabilities();
  const auto r = reach.reaches();
  const HardReach again(Reaches({r.begin(), r.end()}), {p.begin(), p.end()}, reach.shift());
  EXPECT_EQ(again.of_sequence(3000), reach.of_sequence(3000));
}

TEST(HardReach, BecomesIntervals) {
  const HardReach reach(Reaches::up_to(5), {0.1, 0.2, 0.2, 0.2, 0.2, 0.1}, 0.1);
  const std::vector<int32_t> reaches = reach.of_sequence(40);
  const auto graph = SequenceGraph::from_reaches(reaches, reaches);
  for (int64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(graph->parts().lo[static_cast<size_t>(i)], std::max<int64_t>(0, i - reach.of(i)));
    EXPECT_EQ(graph->parts().hi[static_cast<size_t>(i)],
              std::min<int64_t>(40, i + reach.of(i) + 1));
  }
}

TEST(HardReach, WrongInputIsRefused) {
  EXPECT_THROW(HardReach(-1), ConfigError);
  EXPECT_THROW(HardReach(int64_t{1} << 31), ConfigError);
  const Reaches reaches = Reaches::up_to(1);
  EXPECT_THROW(HardReach(reaches, {1}, 0), ShapeError);
  EXPECT_THROW(HardReach(reaches, {0.5, 0.6}, 0), NumericError);
  for (const double shift : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(error_of([&] {
                  HardReach(reaches, {0.5, 0.5}, shift);
                }),
                HasSubstr("hint: give a number from 0 to below 1"));
  }
  EXPECT_THROW(HardReach(1).of_sequence(-1), ShapeError);
}

}  // namespace filigree
