// Hardeners: each against its definition, water-filling against every choice of reaches.
#include "attention/degrees/harden.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

#include "attention/degrees/water_filling.h"
#include "core/error.h"
#include "tests/attention/degrees/any_distribution.h"
#include "tests/error_text.h"

namespace filigree {
namespace {

using namespace testing_degrees;
using ::filigree::testing::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Tails = std::vector<std::vector<double>>;

/// The reach of the only head of a distribution.
int64_t hardened(std::string_view name, const Reaches& reaches, const std::vector<double>& p) {
  return harden(name, {reaches, 1, {p}}).front().of(0);
}

DistanceCounts any_counts(int64_t reach) {
  DistanceCounts counts(reach);
  const int sequences = any_whole(1, 4);
  for (int b = 0; b < sequences; ++b) {
    const auto length = any_whole<int32_t>(1, 9);
    std::vector<int32_t> globals;
    for (int32_t token = 0; token < length; ++token) {
      if (any_whole(0, 4) == 0) globals.push_back(token);
    }
    counts.add(length, globals);
  }
  return counts;
}

int64_t edges_of(const std::vector<int64_t>& reaches, const DistanceCounts& counts) {
  int64_t edges = 0;
  for (const int64_t reach : reaches) edges += counts.edges(reach);
  return edges;
}

/// sum over heads and over 1 <= d <= reach of c_d g(d)
double value_of(const std::vector<int64_t>& reaches, const Tails& tails,
                const DistanceCounts& counts) {
  double value = 0;
  for (size_t h = 0; h < reaches.size(); ++h) {
    for (int64_t d = 1; d <= reaches[h]; ++d) {
      value += static_cast<double>(counts.at(d)) * tails[h][static_cast<size_t>(d)];
    }
  }
  return value;
}

/// The best value of all reaches within the budget.
double best_value(const Tails& tails, const DistanceCounts& counts, int64_t budget) {
  std::vector<int64_t> reaches(tails.size(), 0);
  double best = 0;
  while (true) {
    if (edges_of(reaches, counts) <= budget) {
      best = std::max(best, value_of(reaches, tails, counts));
    }
    size_t h = 0;
    for (; h < reaches.size() && reaches[h] == counts.reach(); ++h) reaches[h] = 0;
    if (h == reaches.size()) return best;
    ++reaches[h];
  }
}

}  // namespace

TEST(Harden, LiteralReaches) {
  const Reaches reaches(std::vector<int64_t>{0, 2, 5, 9});
  const std::vector<double> p{0.3, 0.1, 0.2, 0.4};  // g: 1, .7, .7, .6, .6, .6, .4 ..; mean 4.8
  EXPECT_EQ(hardened("argmax", reaches, p), 9);
  EXPECT_EQ(hardened("median", reaches, p), 5);
  EXPECT_EQ(hardened("mean", reaches, p), 5);
}

TEST(Harden, TiesAndEnds) {
  const Reaches reaches = Reaches::up_to(3);
  EXPECT_EQ(hardened("argmax", reaches, {0.1, 0.4, 0.1, 0.4}), 1);  // the smaller
  EXPECT_EQ(hardened("median", reaches, {0.5, 0, 0, 0.5}), 3);      // g(3) is 1/2
  EXPECT_EQ(hardened("mean", reaches, {0.5, 0, 0, 0.5}), 2);        // 1.5
  for (const char* name : {"argmax", "median", "mean"}) {
    EXPECT_EQ(hardened(name, reaches, {1, 0, 0, 0}), 0) << name;
    EXPECT_EQ(hardened(name, reaches, {0, 0, 0, 1}), 3) << name;
    EXPECT_EQ(hardened(name, Reaches::up_to(0), {1}), 0) << name;
  }
}

TEST(Harden, FollowsTheDefinitions) {
  EXPECT_TRUE(rc::check([] {
    const Reaches reaches = any_reaches(30);
    const std::vector<double> p = any_probabilities(reaches), g = reach_tail(p, reaches);
    const auto has_p = [&](int64_t reach) {
      const auto at = std::find(reaches.values().begin(), reaches.values().end(), reach);
      RC_ASSERT(at != reaches.values().end());
      return p[static_cast<size_t>(at - reaches.values().begin())];
    };
    RC_ASSERT(has_p(hardened("argmax", reaches, p)) == *std::max_element(p.begin(), p.end()));
    const int64_t median = hardened("median", reaches, p);
    RC_ASSERT(g[static_cast<size_t>(median)] >= 0.5);
    if (median < reaches.largest()) RC_ASSERT(g[static_cast<size_t>(median + 1)] < 0.5);
    const auto mean = static_cast<double>(hardened("mean", reaches, p));
    RC_ASSERT(std::abs(mean - mean_reach(p, reaches)) <= 0.5 + 1e-12);
  }));
}

TEST(WaterFilling, LiteralReaches) {
  DistanceCounts counts(3);
  counts.add(5);  // c = 8, 6, 4; 5 on the diagonal
  const Tails tails{{1, 0.9, 0.5, 0.2}, {1, 0.6, 0.55, 0.1}};
  // Bought in order: .9 (8), .6 (8), .55 (6), .5 (6), .2 (4), .1 (4).
  EXPECT_THAT(water_filling(tails, counts, 10), ElementsAre(0, 0));
  EXPECT_THAT(water_filling(tails, counts, 17), ElementsAre(0, 0));
  EXPECT_THAT(water_filling(tails, counts, 18), ElementsAre(1, 0));
  EXPECT_THAT(water_filling(tails, counts, 26), ElementsAre(1, 1));
  EXPECT_THAT(water_filling(tails, counts, 32), ElementsAre(1, 2));
  EXPECT_THAT(water_filling(tails, counts, 1000), ElementsAre(3, 3));
  // .6 (8) does not fit into the 6 that are left, .5 (6) does.
  EXPECT_THAT(water_filling(tails, counts, 24), ElementsAre(2, 0));
}

TEST(WaterFilling, EqualValuesGoToNearTokensThenToFirstHeads) {
  DistanceCounts counts(2);
  counts.add(4);  // c = 6, 4
  const Tails tails(3, std::vector<double>{1, 0.5, 0.5});
  EXPECT_THAT(water_filling(tails, counts, 12 + 6), ElementsAre(1, 0, 0));
  EXPECT_THAT(water_filling(tails, counts, 12 + 18), ElementsAre(1, 1, 1));
  EXPECT_THAT(water_filling(tails, counts, 12 + 22), ElementsAre(2, 1, 1));
}

TEST(WaterFilling, BuysNothingThatIsWorthNothing) {
  DistanceCounts counts(5);
  counts.add(3);  // no pair is 3 or more apart
  EXPECT_THAT(water_filling(Tails{{1, 1, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}}, counts, 1000),
              ElementsAre(1, 2));
  EXPECT_TRUE(water_filling({}, counts, 0).empty());
}

// Never over budget, and short of the best choice of whole distances by less than the value of the
// one that did not fit, which is some head's next.
TEST(WaterFilling, IsWithinOneDistanceOfTheOptimum) {
  EXPECT_TRUE(rc::check([] {
    const int64_t reach = any_whole<int64_t>(0, 6);
    const Reaches reaches = Reaches::up_to(reach);
    const DistanceCounts counts = any_counts(reach);
    Tails tails(static_cast<size_t>(any_whole(1, 4)));
    const int spread = any_whole(0, 4);  // 0: all equal
    for (auto& g : tails) g = reach_tail(any_probabilities(reaches, spread), reaches);
    const auto heads = static_cast<int64_t>(tails.size());
    const int64_t budget = any_whole(heads * counts.always(), heads * counts.pairs() + 1);

    const std::vector<int64_t> got = water_filling(tails, counts, budget);
    RC_ASSERT(got == water_filling(tails, counts, budget));
    RC_ASSERT(edges_of(got, counts) <= budget);
    const double best = best_value(tails, counts, budget);
    const double value = value_of(got, tails, counts);
    double next = 0;
    for (size_t h = 0; h < got.size(); ++h) {
      int64_t d = got[h] + 1;
      while (d <= reach && counts.at(d) == 0) ++d;
      if (d > reach) continue;
      next = std::max(next, static_cast<double>(counts.at(d)) * tails[h][static_cast<size_t>(d)]);
    }
    RC_ASSERT(value <= best + 1e-12);
    RC_ASSERT(best - value < next + 1e-12);
    // No head has room for its next distance.
    for (size_t h = 0; h < got.size(); ++h) {
      std::vector<int64_t> wider = got;
      if (wider[h] == reach) continue;
      ++wider[h];
      RC_ASSERT(edges_of(wider, counts) > budget || counts.at(wider[h]) == 0);
    }
  }));
}

TEST(WaterFilling, BudgetIsTheLargestWithinTheDensity) {
  EXPECT_TRUE(rc::check([] {
    const DistanceCounts counts = any_counts(3);
    const int64_t heads = any_whole(1, 200);
    const auto pairs = static_cast<double>(counts.pairs() * heads);
    const int64_t edges = any_whole(heads * counts.always(), heads * counts.pairs() + 1);
    const double density = static_cast<double>(edges) / pairs;
    RC_ASSERT(edge_budget(density, counts, heads) == edges);
    if (edges > heads * counts.always()) {
      RC_ASSERT(edge_budget(std::nextafter(density, 0), counts, heads) == edges - 1);
    }
  }));
}

TEST(WaterFilling, WrongInputIsRefused) {
  DistanceCounts counts(2);
  counts.add(4, std::vector<int32_t>{0});  // 10 of 16 are always on
  const Tails two(2, std::vector<double>{1, 0.5, 0.2});
  EXPECT_THAT(error_of([&] { water_filling(two, counts, 19); }),
              HasSubstr("a budget of 19 edges, of which 20 are always on\nhint: "));
  EXPECT_NO_THROW(water_filling(two, counts, 20));
  EXPECT_THROW(water_filling(Tails{{1, 0.5}}, counts, 16), ShapeError);
  EXPECT_THROW(water_filling(Tails{{1, 0.5, -0.1}}, counts, 16), NumericError);
  EXPECT_THROW(water_filling(Tails{{1, NAN, 0.1}}, counts, 16), NumericError);
  EXPECT_THAT(error_of([&] {
                water_filling(Tails{{1, 0.2, 0.5}}, counts, 16);
              }),
              HasSubstr("g(1) = 0.2 rises to g(2) = 0.5\nhint: "));
  EXPECT_THROW(edge_budget(0.5, counts, 1), ConfigError);
  EXPECT_THROW(edge_budget(NAN, counts, 1), ConfigError);
  EXPECT_THROW(edge_budget(0.9, counts, 0), ConfigError);
  EXPECT_THROW(edge_budget(0.9, DistanceCounts(2), 1), ShapeError);
}

TEST(Harden, WaterFillingTakesAllHeadsTogether) {
  const Reaches reaches(std::vector<int64_t>{0, 1, 3});
  DistanceCounts counts(3);
  counts.add(5);  // c = 8, 6, 4
  const LearnedDegrees learned{reaches, 2, {{0.2, 0.8, 0}, {1, 0, 0}, {0, 0, 1}, {0.4, 0.3, 0.3}}};
  HardenOptions options{&counts, edge_budget(0.5, counts, 4)};
  std::vector<int64_t> got;
  for (const HardReach& reach : harden("water_filling", learned, options)) {
    EXPECT_TRUE(reach.regular());
    got.push_back(reach.of(0));
  }
  // 30 of 50 edges to spend: 1 (8 + 6 + 4), .8 (8), then .6 (8) is too much.
  EXPECT_THAT(got, ElementsAre(1, 0, 3, 0));
}

TEST(Harden, ExactSpendsWhatWaterFillingLeaves) {
  const Reaches reaches(std::vector<int64_t>{0, 1, 3});
  DistanceCounts counts(3);
  constexpr int64_t kTokens = 1000;
  counts.add(kTokens);
  const LearnedDegrees learned{reaches, 2, {{0.2, 0.8, 0}, {1, 0, 0}, {0, 0, 1}, {0.4, 0.3, 0.3}}};
  for (const int64_t budget : {4000, 4001, 5000, 6500, 9999, 12000}) {
    const auto filled = harden("water_filling", learned, {&counts, budget});
    const auto exact = harden("exact", learned, {&counts, budget});
    int64_t edges = 0;
    for (size_t h = 0; h < exact.size(); ++h) {
      EXPECT_GE(exact[h].largest(), filled[h].largest());
      for (int64_t i = 0; i < kTokens; ++i) {
        const int64_t r = exact[h].of(i);
        EXPECT_GE(r, filled[h].largest());
        edges += std::min(kTokens - 1, i + r) - std::max<int64_t>(0, i - r) + 1;
      }
    }
    EXPECT_NEAR(static_cast<double>(edges), static_cast<double>(budget), 10) << budget;
  }
  // A budget that is met, or more than all distances that are worth something.
  for (const int64_t budget : {4 * 1000, 4 * 1000 + 10 * 1998}) {
    const auto exact = harden("exact", learned, {&counts, budget});
    EXPECT_EQ(exact[1].largest(), 0);
    EXPECT_EQ(exact[0].regular() && exact[2].regular(), budget == 4000 || budget > 20000);
  }
}

TEST(Harden, IrregularReachesAreEachHeadsOwn) {
  const Reaches reaches = Reaches::up_to(7);
  const LearnedDegrees learned{reaches, 2, std::vector(4, std::vector<double>(8, 0.125))};
  const auto draw = [&](uint64_t seed) {
    std::vector<std::vector<int32_t>> all;
    for (const HardReach& reach : harden("irregular", learned, {nullptr, 0, seed})) {
      all.push_back(reach.of_sequence(64));
    }
    return all;
  };
  const auto one = draw(1);
  ASSERT_EQ(one.size(), 4u);
  EXPECT_EQ(draw(1), one);
  EXPECT_NE(draw(2), one);
  for (size_t a = 0; a < one.size(); ++a) {
    for (size_t b = 0; b < a; ++b) EXPECT_NE(one[a], one[b]);
  }
}

TEST(Harden, EveryHardenerIsInTheTable) {
  std::vector<std::string_view> names;
  DistanceCounts counts(2);
  counts.add(6);
  const LearnedDegrees learned{Reaches::up_to(2), 1, {{0.2, 0.3, 0.5}}};
  for (const Hardener& hardener : hardeners()) {
    names.push_back(hardener.name);
    EXPECT_FALSE(hardener.summary.empty());
    EXPECT_EQ(harden(hardener.name, learned, {&counts, 36}).size(), 1u) << hardener.name;
    EXPECT_TRUE(harden(hardener.name, {Reaches::up_to(2), 1, {}}, {&counts, 36}).empty());
  }
  EXPECT_THAT(names,
              ElementsAre("argmax", "median", "mean", "water_filling", "exact", "irregular"));
}

TEST(Harden, WrongInputIsRefused) {
  const Reaches reaches = Reaches::up_to(1);
  const LearnedDegrees learned{reaches, 1, {{0.5, 0.5}}};
  EXPECT_THAT(error_of([&] { harden("medain", learned); }),
              HasSubstr("there is no hardener \"medain\"\nhint: the nearest name is \"median\""));
  EXPECT_THAT(error_of([&] { harden("x", learned); }), HasSubstr("hint: argmax, median, mean, "));
  EXPECT_THAT(error_of([&] { harden("water_filling", learned); }),
              HasSubstr("hint: count them (DistanceCounts)"));
  EXPECT_THROW(harden("argmax", {reaches, 0, {{0.5, 0.5}}}), ConfigError);
  EXPECT_THROW(harden("argmax", {reaches, 1, {{1}}}), ShapeError);
  EXPECT_THROW(harden("argmax", {reaches, 1, {{0.5, 0.4}}}), NumericError);
  EXPECT_THROW(harden("argmax", {reaches, 1, {{NAN, 1}}}), NumericError);
}

}  // namespace filigree
