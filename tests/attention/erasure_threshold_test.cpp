// Node and edge perspective there and back, and thresholds against density evolution itself.
#include "attention/report/erasure_threshold.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/attention/degrees/any_distribution.h"
#include "tests/error_text.h"

namespace filigree {
namespace {

using namespace testing_degrees;
using ::filigree::testing::error_of;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

using Degrees = std::vector<int64_t>;
using Shares = std::vector<double>;

DegreeDistribution regular(int64_t degree) { return from_nodes(Degrees{degree}, Shares{1}); }

double power_sum(const DegreeDistribution& degrees, double x) {
  double sum = 0;
  for (size_t k = 0; k < degrees.degree.size(); ++k) {
    if (degrees.edge[k] == 0) continue;
    sum += degrees.edge[k] * std::pow(x, static_cast<double>(degrees.degree[k] - 1));
  }
  return sum;
}

/// Whether density evolution x <- eps lambda(1 - rho(1 - x)), which never rises, falls below 1e-7.
bool recovers(double eps, const DegreeDistribution& variable, const DegreeDistribution& check) {
  double x = eps, last = 1;
  while (x > 1e-7 && x < last) {
    last = x;
    x = eps * power_sum(variable, 1 - power_sum(check, 1 - x));
  }
  return x <= 1e-7;
}

}  // namespace

TEST(DegreePerspectives, TestVectors) {
  const DegreeDistribution nodes = from_nodes(Degrees{2, 3, 8}, Shares{0.5, 0.3, 0.2});
  EXPECT_DOUBLE_EQ(nodes.mean, 3.5);
  EXPECT_NEAR(nodes.deviation, std::sqrt(0.5 * 2.25 + 0.3 * 0.25 + 0.2 * 20.25), 1e-12);
  EXPECT_THAT(nodes.edge, Pointwise(DoubleNear(5e-7), {0.285714, 0.257143, 0.457143}));
  const DegreeDistribution edges = from_edges(Degrees{2, 3, 8}, nodes.edge);
  EXPECT_THAT(edges.node, Pointwise(DoubleNear(1e-15), {0.5, 0.3, 0.2}));
  EXPECT_THAT(from_nodes(Degrees{0, 4}, Shares{0.5, 0.5}).edge, ElementsAre(0, 1));
  EXPECT_THAT(from_nodes(Degrees{0}, Shares{1}).edge, ElementsAre(0));
}

TEST(DegreePerspectives, ThereAndBack) {
  EXPECT_TRUE(rc::check([] {
    Degrees degrees;
    int64_t degree = 0;
    const int count = any_whole(1, 12);
    for (int k = 0; k < count; ++k) degrees.push_back(degree += any_whole(1, 20));
    const Shares p = reach_probabilities(any_values(count, 4));
    const DegreeDistribution nodes = from_nodes(degrees, p);
    const DegreeDistribution back = from_edges(degrees, nodes.edge);
    for (size_t k = 0; k < p.size(); ++k) {
      RC_ASSERT(std::abs(back.node[k] - p[k]) < 1e-14);
      RC_ASSERT(std::abs(back.edge[k] - nodes.edge[k]) < 1e-14);
    }
    RC_ASSERT(std::abs(back.mean - nodes.mean) < 1e-11 * nodes.mean);
  }));
}

TEST(DegreePerspectives, WrongInputIsRefused) {
  EXPECT_THROW(from_nodes(Degrees{1, 2}, Shares{1}), ShapeError);
  EXPECT_THROW(from_nodes(Degrees{}, Shares{}), ShapeError);
  EXPECT_THROW(from_nodes(Degrees{-1, 2}, Shares{0.5, 0.5}), ConfigError);
  EXPECT_THROW(from_nodes(Degrees{2, 2}, Shares{0.5, 0.5}), ConfigError);
  EXPECT_THROW(from_nodes(Degrees{1, 2}, Shares{0.5, 0.6}), NumericError);
  EXPECT_THAT(error_of([] {
                from_edges(Degrees{0, 2}, Shares{0.5, 0.5});
              }),
              HasSubstr("a degree of 0 where at least 1 is expected"));
}

// Regular ensembles of Richardson and Urbanke, Modern Coding Theory, and the closed forms of cycle
// codes, (2, c): 1 / (c - 1), where the infimum lies at x = 0.
TEST(ErasureThreshold, PublishedValues) {
  EXPECT_NEAR(erasure_threshold(regular(3), regular(6)), 0.429440, 5e-7);
  EXPECT_NEAR(erasure_threshold(regular(4), regular(8)), 0.3834, 5e-5);
  EXPECT_NEAR(erasure_threshold(regular(3), regular(5)), 0.5176, 5e-5);
  EXPECT_NEAR(erasure_threshold(regular(3), regular(4)), 0.6474, 5e-5);
  for (const int64_t c : {2, 3, 4, 6, 11}) {
    EXPECT_NEAR(erasure_threshold(regular(2), regular(c)), 1.0 / static_cast<double>(c - 1), 1e-8);
  }
  EXPECT_EQ(erasure_threshold(regular(1), regular(6)), 0);  // nothing is sent twice
  EXPECT_EQ(erasure_threshold(regular(3), regular(1)), 1);  // checks tell every bit
}

// Of the (3, 6) ensemble to all digits: x / (1 - (1 - x)^5)^2 is least where its derivative is 0.
TEST(ErasureThreshold, IsExactWhereCalculusGivesIt) {
  double low = 0.1, high = 0.9;
  for (int k = 0; k < 100; ++k) {
    const double x = (low + high) / 2, q = std::pow(1 - x, 4);
    (1 - (1 - x) * q < 10 * x * q ? low : high) = x;
  }
  const double y = 1 - std::pow(1 - low, 5);
  EXPECT_NEAR(erasure_threshold(regular(3), regular(6)), low / (y * y), 1e-14);
}

// The definition: what lies below is recovered, what lies above is not.
TEST(ErasureThreshold, DividesWhatDensityEvolutionRecovers) {
  EXPECT_TRUE(rc::check([] {
    const auto any_degrees = [](int64_t first) {
      Degrees degrees;
      const int count = any_whole(1, 4);
      for (int k = 0; k < count; ++k) {
        degrees.push_back(first + any_whole<int64_t>(0, 5));
        first = degrees.back() + 1;
      }
      return from_nodes(degrees, reach_probabilities(any_values(count, 2)));
    };
    const DegreeDistribution variable = any_degrees(2), check = any_degrees(3);
    const double threshold = erasure_threshold(variable, check);
    RC_ASSERT(threshold > 0 && threshold < 1);
    RC_ASSERT(recovers(threshold - 1e-3, variable, check));
    RC_ASSERT(!recovers(threshold + 1e-3, variable, check));
  }));
}

TEST(ErasureThreshold, WithoutEdgesThereIsNone) {
  EXPECT_THAT(error_of([] { erasure_threshold(regular(0), regular(6)); }),
              HasSubstr("an ensemble without edges\nhint: "));
  EXPECT_THROW(erasure_threshold(regular(3), DegreeDistribution{}), ConfigError);
}

}  // namespace filigree
