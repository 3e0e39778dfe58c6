// Grids, tails, means, entropy, and the chain rule against central differences.
#include "attention/degrees/distribution.h"

#include <cmath>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

#include "attention/degrees/reaches.h"
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

/// Central differences of f at x.
std::vector<double> differences(std::vector<double> x,
                                const std::function<double(std::span<const double>)>& f) {
  constexpr double kStep = 1e-5;
  std::vector<double> gradient;
  for (double& value : x) {
    const double at = value;
    value = at + kStep;
    const double above = f(x);
    value = at - kStep;
    gradient.push_back((above - f(x)) / (2 * kStep));
    value = at;
  }
  return gradient;
}

void expect_close(std::span<const double> got, std::span<const double> want) {
  RC_ASSERT(got.size() == want.size());
  for (size_t k = 0; k < got.size(); ++k) {
    RC_ASSERT(std::abs(got[k] - want[k]) <= 1e-6 * std::max(1.0, std::abs(want[k])));
  }
}

}  // namespace

TEST(Reaches, EveryWholeNumberAndThenSixteenAnOctave) {
  EXPECT_THAT(Reaches::up_to(0).values(), ElementsAre(0));
  EXPECT_THAT(Reaches::up_to(3).values(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(Reaches::up_to(128).count(), 129);
  EXPECT_EQ(Reaches::up_to(129).count(), 130);
  EXPECT_EQ(Reaches::up_to(512).count(), 129 + 32);
  EXPECT_EQ(Reaches::up_to(4096).count(), 129 + 80);
  for (int64_t largest = 0; largest < 3000; ++largest) {
    const Reaches reaches = Reaches::up_to(largest);  // which checks that it rises
    ASSERT_EQ(reaches.largest(), largest);
    for (int64_t k = 0; k < std::min<int64_t>(reaches.count(), 129); ++k) ASSERT_EQ(reaches[k], k);
    for (int64_t k = 129; k < reaches.count(); ++k) {
      const auto last = static_cast<double>(reaches[k - 1]);
      ASSERT_LE(static_cast<double>(reaches[k]), last * std::exp2(1.0 / 16) + 1) << largest;
    }
  }
  EXPECT_EQ(Reaches::up_to(std::numeric_limits<int32_t>::max()).largest(), 2147483647);
}

TEST(Reaches, WhatIsNoGridIsRefused) {
  EXPECT_THAT(error_of([] { Reaches::up_to(-1); }), HasSubstr("the largest reach is -1"));
  EXPECT_THROW(Reaches::up_to(int64_t{1} << 31), ConfigError);
  for (const std::vector<int64_t>& values :
       {std::vector<int64_t>{}, {1, 2}, {0, 2, 2}, {0, 3, 1}, {0, -1}}) {
    EXPECT_THAT(error_of([&] { Reaches{values}; }), HasSubstr("hint: a grid is 0 and then"));
  }
}

TEST(Distribution, LiteralValues) {
  const Reaches reaches(std::vector<int64_t>{0, 1, 3});
  const std::vector<double> p =
      reach_probabilities(std::vector<double>{std::log(1), std::log(2), std::log(5)});
  EXPECT_THAT(p, Pointwise(DoubleNear(1e-15), {0.125, 0.25, 0.625}));
  EXPECT_THAT(reach_tail(p, reaches), Pointwise(DoubleNear(1e-15), {1.0, 0.875, 0.625, 0.625}));
  EXPECT_NEAR(mean_reach(p, reaches), 2.125, 1e-15);
  EXPECT_NEAR(entropy(p), 0.125 * std::log(8) + 0.25 * std::log(4) - 0.625 * std::log(0.625),
              1e-15);
  EXPECT_EQ(entropy(std::vector<double>{0, 1, 0}), 0);
  EXPECT_THAT(probability_gradient(std::vector<double>{9, 1, 2, 4}, reaches), ElementsAre(0, 1, 7));
}

// A tail is 1 at 0, never rises, and holds the probabilities; its sum is the mean.
TEST(Distribution, TailAndBothMeans) {
  EXPECT_TRUE(rc::check([] {
    const Reaches reaches = any_reaches(60);
    const std::vector<double> p = any_probabilities(reaches, 20);
    const std::vector<double> g = reach_tail(p, reaches);
    RC_ASSERT(g.size() == static_cast<size_t>(reaches.largest()) + 1);
    RC_ASSERT(g[0] == 1);
    for (int64_t d = 1; d <= reaches.largest(); ++d) {
      double want = 0;
      for (int64_t k = 0; k < reaches.count(); ++k) {
        if (reaches[k] >= d) want += p[static_cast<size_t>(k)];
      }
      const double got = g[static_cast<size_t>(d)];
      RC_ASSERT(got <= g[static_cast<size_t>(d - 1)] && got >= 0);
      RC_ASSERT(std::abs(got - want) <= 1e-14 * want);
    }
    const double mean = mean_reach(p, reaches);
    RC_ASSERT(std::abs(mean_reach(g) - mean) <= 1e-13 * (1 + mean));
    const double h = entropy(p);
    RC_ASSERT(h >= 0 && h <= std::log(static_cast<double>(reaches.count())) + 1e-12);
  }));
}

TEST(Distribution, LogitsOfAnySize) {
  const std::vector<double> p = reach_probabilities(std::vector<double>{1e300, -1e300, 1e300});
  EXPECT_THAT(p, ElementsAre(0.5, 0, 0.5));
  EXPECT_THAT(entropy_gradient(p), ElementsAre(0, 0, 0));
}

// A loss that is not linear in g, so that the derivative depends on the place.
TEST(Distribution, ChainRuleAgreesWithDifferences) {
  EXPECT_TRUE(rc::check([] {
    const Reaches reaches = any_reaches(20);
    const std::vector<double> theta = any_values(reaches.count(), 3);
    const std::vector<double> a = any_values(reaches.largest() + 1, 2);
    const auto loss = [&](std::span<const double> logits) {
      const std::vector<double> g = reach_tail(reach_probabilities(logits), reaches);
      double sum = 0;
      for (size_t d = 0; d < g.size(); ++d) sum += a[d] * g[d] * g[d];
      return sum;
    };
    const std::vector<double> p = reach_probabilities(theta), g = reach_tail(p, reaches);
    std::vector<double> dg(g.size());
    for (size_t d = 0; d < g.size(); ++d) dg[d] = 2 * a[d] * g[d];
    const std::vector<double> got = logit_gradient(p, probability_gradient(dg, reaches));
    expect_close(got, differences(theta, loss));
    RC_ASSERT(std::abs(std::accumulate(got.begin(), got.end(), 0.0)) < 1e-12);
    dg[0] += 1e6;  // g(0) does not move
    RC_ASSERT(logit_gradient(p, probability_gradient(dg, reaches)) == got);
  }));
}

TEST(Distribution, EntropyGradientAgreesWithDifferences) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<double> theta = any_values(any_whole(1, 30), 4);
    const auto h = [](std::span<const double> logits) {
      return entropy(reach_probabilities(logits));
    };
    expect_close(entropy_gradient(reach_probabilities(theta)), differences(theta, h));
  }));
}

TEST(Distribution, WrongInputIsRefused) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const Reaches reaches = Reaches::up_to(3);
  const std::vector<double> three(3, 1.0 / 3), four(4, 0.25);
  EXPECT_THROW(reach_probabilities({}), ShapeError);
  EXPECT_THAT(error_of([&] {
                reach_probabilities(std::vector<double>{0, kNan});
              }),
              HasSubstr("logit 1 is nan\nhint: "));
  EXPECT_THROW(reach_probabilities(std::vector<double>{-INFINITY}), NumericError);
  EXPECT_THAT(error_of([&] { reach_tail(three, reaches); }),
              HasSubstr("expected 4 probabilities, got 3"));
  EXPECT_THROW(mean_reach(three, reaches), ShapeError);
  EXPECT_THROW(mean_reach(std::span<const double>{}), ShapeError);
  EXPECT_THROW(probability_gradient(three, reaches), ShapeError);
  EXPECT_THROW(logit_gradient(four, three), ShapeError);
  EXPECT_THROW(expect_probabilities("here", {}), ShapeError);
  EXPECT_THROW(expect_probabilities("here", std::vector<double>{1.5, -0.5}), NumericError);
  EXPECT_THROW(expect_probabilities("here", std::vector<double>{kNan}), NumericError);
  EXPECT_THAT(error_of([] {
                expect_probabilities("here", std::vector<double>{0.5, 0.4});
              }),
              HasSubstr("[here] probabilities sum to 0.9"));
  EXPECT_NO_THROW(expect_probabilities("here", four));
}

}  // namespace filigree
