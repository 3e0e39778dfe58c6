// Pairs at every distance, and densities, against counting all pairs.
#include "attention/degrees/density.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "attention/placement.h"
#include "core/error.h"
#include "tests/attention/degrees/any_distribution.h"
#include "tests/error_text.h"

namespace filigree {
namespace {

using namespace testing_degrees;
using ::filigree::testing::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Globals = std::vector<int32_t>;

struct Sequence {
  int64_t length;
  Globals globals;
};

Sequence any_sequence() {
  Sequence sequence{any_whole<int64_t>(0, 40), {}};
  const int share = any_whole(0, 5);  // of 4: none to all tokens are global
  for (int32_t token = 0; token < sequence.length; ++token) {
    if (any_whole(0, 4) < share) sequence.globals.push_back(token);
  }
  return sequence;
}

/// counted(distance, always on) for every pair of the sequence.
template <class Counted>
void for_pairs(const Sequence& sequence, Counted counted) {
  const auto global = [&](int64_t token) {
    return std::binary_search(sequence.globals.begin(), sequence.globals.end(), token);
  };
  for (int64_t i = 0; i < sequence.length; ++i) {
    for (int64_t j = 0; j < sequence.length; ++j) {
      counted(std::abs(i - j), i == j || global(i) || global(j));
    }
  }
}

}  // namespace

TEST(DistanceCounts, WithoutGlobalTokens) {
  DistanceCounts counts(3);
  counts.add(5);
  EXPECT_THAT((std::vector{counts.at(0), counts.at(1), counts.at(2), counts.at(3)}),
              ElementsAre(0, 8, 6, 4));
  EXPECT_EQ(counts.always(), 5);
  EXPECT_EQ(counts.pairs(), 25);
  EXPECT_EQ(counts.edges(0), 5);
  EXPECT_EQ(counts.edges(2), 19);
}

TEST(DistanceCounts, AreThoseOfAllPairs) {
  EXPECT_TRUE(rc::check([] {
    const int64_t reach = any_whole<int64_t>(0, 50);
    DistanceCounts counts(reach), halves(reach);
    std::vector<int64_t> want(static_cast<size_t>(reach) + 1);
    int64_t always = 0, pairs = 0;
    const int sequences = any_whole(0, 4);
    for (int b = 0; b < sequences; ++b) {
      const Sequence sequence = any_sequence();
      counts.add(sequence.length, sequence.globals);
      DistanceCounts one(reach);
      one.add(sequence.length, sequence.globals);
      halves.add(one);
      for_pairs(sequence, [&](int64_t d, bool on) {
        ++pairs;
        always += on;
        if (!on && d <= reach) ++want[static_cast<size_t>(d)];
      });
    }
    RC_ASSERT(counts.always() == always && counts.pairs() == pairs);
    RC_ASSERT(halves.always() == always && halves.pairs() == pairs);
    for (int64_t d = 0; d <= reach; ++d) {
      RC_ASSERT(counts.at(d) == want[static_cast<size_t>(d)]);
      RC_ASSERT(halves.at(d) == want[static_cast<size_t>(d)]);
    }
  }));
}

// The mean of the sequences' own densities, weighted by n^2, and its derivative.
TEST(DistanceCounts, DensityIsTheWeightedMeanOfGatedPairs) {
  EXPECT_TRUE(rc::check([] {
    const Reaches reaches = any_reaches(30);
    std::vector<double> g = reach_tail(any_probabilities(reaches), reaches);
    DistanceCounts counts(reaches.largest());
    double sum = 0, weight = 0;
    for (int b = 0; b < 3; ++b) {
      const Sequence sequence = any_sequence();
      if (sequence.length == 0) continue;
      counts.add(sequence.length, sequence.globals);
      double gated = 0;
      for_pairs(sequence, [&](int64_t d, bool on) {
        gated += on ? 1 : d <= reaches.largest() ? g[static_cast<size_t>(d)] : 0;
      });
      const auto n = static_cast<double>(sequence.length);
      sum += n * n * (gated / (n * n));
      weight += n * n;
    }
    RC_PRE(weight > 0);
    const double rho = counts.density(g);
    RC_ASSERT(std::abs(rho - sum / weight) < 1e-12);
    const std::vector<double> gradient = counts.density_gradient();
    RC_ASSERT(gradient.size() == g.size() && gradient[0] == 0);
    for (size_t d = 1; d < g.size(); ++d) {  // rho is linear in g
      const double at = g[d];
      g[d] = at + 0.25;
      RC_ASSERT(std::abs(counts.density(g) - rho - 0.25 * gradient[d]) < 1e-12);
      g[d] = at;
    }
  }));
}

// The edges of a window are those of the graph that the pattern makes.
TEST(DistanceCounts, EdgesAreThoseOfTheGraph) {
  SequenceBatch batch;
  const std::vector<int64_t> offsets{0, 17, 18, 18, 41};
  batch.offsets = Tensor::from(offsets);
  DistanceCounts counts(9);
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    const int64_t length = offsets[b + 1] - offsets[b];
    Globals globals{0, 1};
    globals.resize(static_cast<size_t>(std::min<int64_t>(2, length)));
    counts.add(length, globals);
  }
  for (int64_t reach = 0; reach <= 9; ++reach) {
    const std::string pattern = "neighbour:" + std::to_string(reach) + "|global:first=2";
    const auto graph = AttentionPlan(pattern, "all", "all", 1, 1).build(batch, 1, 0).front();
    EXPECT_EQ(counts.edges(reach), graph->edges(0)) << pattern;
    EXPECT_EQ(counts.pairs(), graph->valid_pairs());
    std::vector<double> g(10, 0.0);
    std::fill(g.begin(), g.begin() + reach + 1, 1.0);
    EXPECT_DOUBLE_EQ(counts.density(g), graph->density()) << pattern;
  }
}

TEST(DistanceCounts, WrongInputIsRefused) {
  EXPECT_THROW(DistanceCounts(-1), ConfigError);
  DistanceCounts counts(2);
  counts.add(0);
  EXPECT_THAT(error_of([&] { counts.density(std::vector<double>(3, 1)); }),
              HasSubstr("the density of no token\nhint: count at least one sequence"));
  EXPECT_THROW(counts.density_gradient(), ShapeError);
  EXPECT_THROW(counts.expect_feasible("here", 0.5), ShapeError);
  EXPECT_THROW(counts.add(-1), ShapeError);
  EXPECT_THROW(counts.add(int64_t{1} << 31), ShapeError);
  for (const Globals& globals : {Globals{-1}, Globals{4}, Globals{2, 2}, Globals{2, 1}}) {
    EXPECT_THAT(error_of([&] { counts.add(4, globals); }), HasSubstr("of a sequence of 4 tokens"));
  }
  EXPECT_EQ(counts.pairs(), 0);  // what was refused is not counted
  counts.add(4, Globals{0});
  EXPECT_THROW(counts.density(std::vector<double>(2, 1)), ShapeError);
  EXPECT_THROW(counts.edges(3), ShapeError);
  EXPECT_THROW(counts.edges(-1), ShapeError);
  EXPECT_THROW(counts.add(DistanceCounts(3)), ShapeError);
  EXPECT_NO_THROW(counts.expect_feasible("here", 10.0 / 16));
  EXPECT_NO_THROW(counts.expect_feasible("here", 1));
  EXPECT_THAT(
      error_of([&] { counts.expect_feasible("here", 0.6); }),
      HasSubstr("[here] a density of 0.6 cannot be had: it lies from 0.625000 to 1\nhint: "));
  EXPECT_THROW(counts.expect_feasible("here", 1.01), ConfigError);
  EXPECT_THROW(counts.expect_feasible("here", std::numeric_limits<double>::quiet_NaN()),
               ConfigError);
}

}  // namespace filigree
