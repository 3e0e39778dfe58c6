// Statistics of studies against SciPy and statsmodels (make_statistics_fixture.py), and against
// their definitions.
#include "tasks/study/statistics.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>

#include "core/error.h"
#include "core/file.h"
#include "core/random.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

const nlohmann::json& fixture() {
  static const auto parsed = nlohmann::json::parse(
      read_file(FILIGREE_SOURCE_DIR "/tests/tasks/study/data/statistics.json"));
  return parsed;
}

void expect_close(double value, const nlohmann::json& expected, const std::string& what) {
  const auto wanted = expected.get<double>();
  EXPECT_NEAR(value, wanted, 1e-10 * std::abs(wanted)) << what;
}

void expect_interval(std::span<const double> values, const nlohmann::json& expected,
                     const std::string& what) {
  const auto confidences = fixture().at("confidences").get<std::vector<double>>();
  for (size_t i = 0; i < confidences.size(); ++i) {
    const Interval interval = mean_interval(values, confidences[i]);
    EXPECT_EQ(interval.n, static_cast<int64_t>(values.size()));
    expect_close(interval.mean, expected.at("mean"), what + ", mean");
    expect_close(interval.deviation, expected.at("deviation"), what + ", deviation");
    expect_close(interval.half_width, expected.at("half_widths").at(i), what + ", half width");
  }
}

/// A whole number from `least` to below `end`, all of them from the first case on.
int any_whole(int least, int end) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(least, end));
}

/// On a coarse grid, so that equal ones are frequent.
std::vector<CurvePoint> any_points(int least) {
  std::vector<CurvePoint> points(static_cast<size_t>(any_whole(least, 30)));
  const int grid = any_whole(1, 12);
  for (CurvePoint& point : points) {
    point = {any_whole(0, grid + 1) / 16.0, any_whole(-grid, grid + 1) / 10.0};
  }
  return points;
}

template <class T>
void shuffle(std::vector<T>& values) {
  RandomStream random(*rc::gen::arbitrary<uint64_t>(), Purpose::test);
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

bool same_bits(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b; }

}  // namespace

TEST(StatisticsOfSamples, EqualSciPy) {
  ASSERT_EQ(fixture().at("cases").size(), 19u);
  for (const auto& expected : fixture().at("cases")) {
    const auto name = expected.at("name").get<std::string>();
    const auto a = expected.at("a").get<std::vector<double>>();
    const auto b = expected.at("b").get<std::vector<double>>();
    std::vector<double> differences;
    for (size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
    expect_interval(a, expected.at("interval_of_a"), name);
    expect_interval(differences, expected.at("interval_of_difference"), name);

    const PairedTest test = paired_test(a, b);
    const Interval interval = mean_interval(differences);
    EXPECT_EQ(test.difference.n, interval.n);
    EXPECT_EQ(test.difference.mean, interval.mean);
    EXPECT_EQ(test.difference.deviation, interval.deviation);
    EXPECT_EQ(test.difference.half_width, interval.half_width);
    EXPECT_EQ(paired_test(a, b, 0.6).difference.half_width,
              mean_interval(differences, 0.6).half_width);
    expect_close(test.t, expected.at("t"), name + ", t");
    expect_close(test.t_p, expected.at("t_p"), name + ", p of t");
    expect_close(test.cohen_d, expected.at("cohen_d"), name + ", d");
    if (interval.n == 2) {
      EXPECT_TRUE(std::isnan(test.hedges_g));
    } else {
      expect_close(test.hedges_g, expected.at("hedges_g"), name + ", g");
    }
    const auto p = expected.at("permutation_p").get<double>();
    if (interval.n <= kExactPairs) {
      EXPECT_NEAR(test.permutation_p, p, 1e-10 * p) << name;
    } else {
      EXPECT_NE(test.permutation_p, p);
      EXPECT_NEAR(test.permutation_p, p, 5 * std::sqrt(p * (1 - p) / kSignDraws)) << name;
    }
  }
}

TEST(StatisticsOfSamples, OneValueHasNoSpread) {
  const std::vector<double> one{3}, other{2};
  const Interval interval = mean_interval(one);
  EXPECT_EQ(interval.n, 1);
  EXPECT_EQ(interval.mean, 3);
  EXPECT_TRUE(std::isnan(interval.deviation));
  EXPECT_EQ(interval.half_width, kInfinity);
  for (const auto& b : {other, one}) {
    const PairedTest test = paired_test(one, b);
    EXPECT_EQ(test.difference.mean, 3 - b[0]);
    EXPECT_TRUE(std::isnan(test.difference.deviation));
    EXPECT_EQ(test.difference.half_width, kInfinity);
    for (const double value : {test.t, test.t_p, test.cohen_d, test.hedges_g}) {
      EXPECT_TRUE(std::isnan(value));
    }
    EXPECT_EQ(test.permutation_p, 1);
  }
}

TEST(StatisticsOfSamples, EqualDifferences) {
  // Every second row of differences is equal but for rounding.
  const std::vector<double> a{0.9, 0.8, 0.7}, a_again{0.9, 0.1 + 0.7, 0.6 + 0.1};
  const std::vector<double> whole{4, 5, 6}, less{3, 4, 5}, decimals{0.89, 0.79, 0.69};
  ASSERT_NE(a, a_again);
  for (const auto& b : {a, a_again}) {
    const PairedTest test = paired_test(a, b);
    for (const double value : {test.difference.mean, test.difference.deviation,
                               test.difference.half_width, test.t, test.cohen_d, test.hedges_g}) {
      EXPECT_EQ(value, 0);
    }
    EXPECT_EQ(test.t_p, 1);
    EXPECT_EQ(test.permutation_p, 1);
  }
  for (const auto& [x, y] : {std::pair{whole, less}, std::pair{a, decimals}}) {
    for (const bool swapped : {false, true}) {
      const PairedTest test = swapped ? paired_test(y, x) : paired_test(x, y);
      const double sign = swapped ? -1 : 1;
      EXPECT_NEAR(test.difference.mean, sign * (x[0] - y[0]), 1e-15);
      EXPECT_EQ(test.difference.deviation, 0);
      EXPECT_EQ(test.difference.half_width, 0);
      for (const double value : {test.t, test.cohen_d, test.hedges_g}) {
        EXPECT_EQ(value, sign * kInfinity);
      }
      EXPECT_EQ(test.t_p, 0);
      EXPECT_EQ(test.permutation_p, 0.25);
    }
  }
}

TEST(StatisticsOfSamples, EqualValuesGiveThatValue) {
  const Interval interval = mean_interval(std::vector<double>(7, 0.1));
  EXPECT_EQ(interval.mean, 0.1);
  EXPECT_EQ(interval.deviation, 0);
  EXPECT_EQ(interval.half_width, 0);
}

TEST(StatisticsOfSamples, AreExactToTwentyPairsAndDrawnBeyond) {
  for (const size_t n : {20u, 21u, 64u, 65u, 200u}) {
    const std::vector<double> a(n, 0.9), b(n, 0.89);
    const double p = paired_test(a, b).permutation_p;
    // All signs alike: 2 of 2^n arrangements.
    if (n == 20) {
      EXPECT_EQ(p, 0x1p-19);
    } else if (n > 60) {
      EXPECT_EQ(p, 1.0 / 100'001);  // none of the draws
    } else {
      EXPECT_LE(p, 4.0 / 100'001);
      EXPECT_GE(p, 1.0 / 100'001);
    }
  }
  // No effect in more pairs than one word of random bits: binomial, with 50 of 100 signs.
  std::vector<double> a(100, 1), b(100, 0);
  for (size_t i = 0; i < 45; ++i) std::swap(a[i], b[i]);
  double exact = 0;  // 45 or fewer, or 55 or more
  for (int k = 0; k <= 45; ++k) {
    exact += 2 * std::exp(std::lgamma(101) - std::lgamma(k + 1) - std::lgamma(101 - k) -
                          100 * std::log(2.0));
  }
  const double p = paired_test(a, b).permutation_p;
  EXPECT_NEAR(p, exact, 5 * std::sqrt(exact * (1 - exact) / kSignDraws));
  EXPECT_EQ(p, paired_test(a, b).permutation_p);
}

TEST(StatisticsOfSamples, PermutationCountsAsDefinedThroughRounding) {
  EXPECT_TRUE(rc::check([] {
    const int n = any_whole(1, 11);
    const int unit = any_whole(0, 2) == 0 ? 100 : 1000;
    std::vector<double> a, b;
    std::vector<int> differences;
    int observed = 0;
    for (int i = 0; i < n; ++i) {
      const int x = any_whole(0, unit), y = any_whole(std::max(0, x - 4), std::min(unit, x + 5));
      a.push_back(static_cast<double>(x) / unit);
      b.push_back(static_cast<double>(y) / unit);
      differences.push_back(x - y);
      observed += x - y;
    }
    int count = 0;
    for (int signs = 0; signs < 1 << n; ++signs) {
      int sum = 0;
      for (int i = 0; i < n; ++i) {
        const int d = differences[static_cast<size_t>(i)];
        sum += ((signs >> i) & 1) != 0 ? d : -d;
      }
      count += std::abs(sum) >= std::abs(observed) ? 1 : 0;
    }
    RC_ASSERT(paired_test(a, b).permutation_p == static_cast<double>(count) / (1 << n));
  }));
}

TEST(StatisticsOfSamples, SwappingTurnsSignsAndScaleChangesNoTest) {
  EXPECT_TRUE(rc::check([] {
    const auto n = static_cast<size_t>(any_whole(1, 13));
    std::vector<double> a(n), b(n);
    for (double& value : a) value = any_whole(-100, 101) / 7.0;
    for (double& value : b) value = any_whole(-100, 101) / 7.0;
    const PairedTest test = paired_test(a, b), swapped = paired_test(b, a);
    RC_ASSERT(same_bits(swapped.difference.mean, -test.difference.mean));
    RC_ASSERT(same_bits(swapped.difference.half_width, test.difference.half_width));
    RC_ASSERT(same_bits(swapped.t, -test.t));
    RC_ASSERT(same_bits(swapped.t_p, test.t_p));
    RC_ASSERT(swapped.permutation_p == test.permutation_p);
    RC_ASSERT(same_bits(swapped.hedges_g, -test.hedges_g));
    for (double& value : a) value *= 0x1p-600;  // its square is not a number that a double holds
    for (double& value : b) value *= 0x1p-600;
    const PairedTest scaled = paired_test(a, b);
    RC_ASSERT(same_bits(scaled.difference.deviation, 0x1p-600 * test.difference.deviation));
    RC_ASSERT(same_bits(scaled.t, test.t));
    RC_ASSERT(same_bits(scaled.t_p, test.t_p));
    RC_ASSERT(scaled.permutation_p == test.permutation_p);
  }));
}

TEST(StatisticsOfSamples, RefuseWhatHasNoAnswer) {
  const std::vector<double> none, one{1}, two{1, 2}, wrong{1, kNaN}, huge{1e308}, negative{-1e308};
  EXPECT_THROW(mean_interval(none), ConfigError);
  EXPECT_THROW(mean_interval(wrong), NumericError);
  EXPECT_THROW(mean_interval(std::vector<double>{1e308, -1e308}), NumericError);
  for (const double confidence : {0.0, 1.0, -0.5, 95.0, kNaN}) {
    EXPECT_THROW(mean_interval(two, confidence), ConfigError) << confidence;
    EXPECT_THROW(paired_test(two, two, confidence), ConfigError) << confidence;
  }
  EXPECT_THROW(paired_test(none, none), ConfigError);
  EXPECT_THROW(paired_test(one, two), ConfigError);
  EXPECT_THROW(paired_test(two, wrong), NumericError);
  EXPECT_THROW(paired_test(wrong, two), NumericError);
  EXPECT_THROW(paired_test(huge, negative), NumericError);
}

TEST(StatisticsOfSeveralTests, HolmEqualsStatsmodels) {
  ASSERT_EQ(fixture().at("holm").size(), 6u);
  for (const auto& expected : fixture().at("holm")) {
    const std::vector<double> adjusted = holm(expected.at("p").get<std::vector<double>>());
    ASSERT_EQ(adjusted.size(), expected.at("adjusted").size());
    for (size_t i = 0; i < adjusted.size(); ++i) {
      expect_close(adjusted[i], expected.at("adjusted").at(i), "adjusted p");
    }
  }
}

TEST(StatisticsOfSeveralTests, HolmIsItsDefinitionAndMonotone) {
  EXPECT_TRUE(rc::check([] {
    std::vector<double> p(static_cast<size_t>(any_whole(0, 20)));
    const int grid = any_whole(1, 200);
    for (double& value : p) {
      value = any_whole(0, 5) == 0 ? kNaN : static_cast<double>(any_whole(0, grid + 1)) / grid;
    }
    const std::vector<double> adjusted = holm(p);
    RC_ASSERT(adjusted.size() == p.size());
    for (size_t i = 0; i < p.size(); ++i) {
      RC_ASSERT(std::isnan(adjusted[i]) == std::isnan(p[i]));
      if (std::isnan(p[i])) continue;
      RC_ASSERT(adjusted[i] >= p[i] && adjusted[i] <= 1);
      double expected = 0;
      for (const double smaller : p) {
        if (!(smaller <= p[i])) continue;
        const auto left = std::count_if(p.begin(), p.end(), [&](double q) { return q >= smaller; });
        expected = std::max(expected, std::min(1.0, static_cast<double>(left) * smaller));
      }
      RC_ASSERT(adjusted[i] == expected);
      for (size_t j = 0; j < p.size(); ++j)
        RC_ASSERT(!(p[i] <= p[j]) || adjusted[i] <= adjusted[j]);
    }
  }));
}

TEST(StatisticsOfSeveralTests, HolmRefusesWhatIsNoProbability) {
  EXPECT_THAT(holm({}), IsEmpty());
  EXPECT_THROW(holm(std::vector<double>{0.5, 1.01}), ConfigError);
  EXPECT_THROW(holm(std::vector<double>{-0.01}), ConfigError);
  EXPECT_THROW(holm(std::vector<double>{kInfinity}), ConfigError);
}

TEST(StatisticsOfCurves, AreaOfWhatCanBeSeen) {
  EXPECT_EQ(area_under_curve(std::vector<CurvePoint>{{0.5, 0.9}}), 0.9);
  EXPECT_EQ(area_under_curve(std::vector<CurvePoint>{{0.5, 1}, {0.5, 0}, {0.5, 0.5}}), 0.5);
  EXPECT_EQ(area_under_curve(std::vector<CurvePoint>{{0.75, 0.5}, {0.25, 1}}), 0.75);
  // From 0 to 0.5: 1 to mean(0.25, 0.75) = 0.5; from there to 0.75: falls to 0.
  const std::vector<CurvePoint> curve{{0.5, 0.25}, {0, 1}, {0.75, 0}, {0.5, 0.75}};
  EXPECT_DOUBLE_EQ(area_under_curve(curve), (0.5 * 0.75 + 0.25 * 0.25) / 0.75);
  EXPECT_THROW(area_under_curve({}), ConfigError);
  EXPECT_THROW(area_under_curve(std::vector<CurvePoint>{{0.5, kNaN}}), NumericError);
  EXPECT_THROW(area_under_curve(std::vector<CurvePoint>{{kInfinity, 0}}), NumericError);
}

TEST(StatisticsOfCurves, AreaKeepsUnderOrderAndPointsOnTheLine) {
  EXPECT_TRUE(rc::check([] {
    std::vector<CurvePoint> points = any_points(1);
    const double area = area_under_curve(points);
    std::vector<CurvePoint> shuffled = points;
    shuffle(shuffled);
    RC_ASSERT(area_under_curve(shuffled) == area);
    double least = kInfinity, most = -kInfinity;
    for (const CurvePoint& point : points) {
      least = std::min(least, point.value);
      most = std::max(most, point.value);
    }
    RC_ASSERT(area >= least - 1e-12 && area <= most + 1e-12);
    for (CurvePoint& point : points) point.value = 3 - 2 * point.sparsity;
    const auto [low, high] = std::minmax_element(
        points.begin(), points.end(), [](auto& a, auto& b) { return a.sparsity < b.sparsity; });
    RC_ASSERT(std::abs(area_under_curve(points) - (low->value + high->value) / 2) < 1e-12);
  }));
}

TEST(StatisticsOfCurves, ParetoFrontIsItsDefinition) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<CurvePoint> points = any_points(0);
    std::vector<size_t> expected;
    for (size_t i = 0; i < points.size(); ++i) {
      const CurvePoint& p = points[i];
      const bool beaten = std::any_of(points.begin(), points.end(), [&](const CurvePoint& q) {
        return q.sparsity >= p.sparsity && q.value >= p.value &&
               (q.sparsity > p.sparsity || q.value > p.value);
      });
      if (!beaten) expected.push_back(i);
    }
    std::stable_sort(expected.begin(), expected.end(),
                     [&](size_t i, size_t j) { return points[i].sparsity < points[j].sparsity; });
    RC_ASSERT(pareto_front(points) == expected);
  }));
}

TEST(StatisticsOfCurves, ParetoFrontByHand) {
  const std::vector<CurvePoint> points{{0.9, 0.7}, {0.5, 0.9},  {0.5, 0.8}, {0.9, 0.7},
                                       {0.7, 0.6}, {0.4, 0.95}, {0.3, 0.95}};
  EXPECT_THAT(pareto_front(points), ElementsAre(5, 1, 0, 3));
  EXPECT_THAT(pareto_front({}), IsEmpty());
  EXPECT_THROW(pareto_front(std::vector<CurvePoint>{{0, 0}, {0.5, kNaN}}), NumericError);
}

TEST(StatisticsOfCurves, SparsestWithinALoss) {
  const std::vector<CurvePoint> points{{0.5, 0.89}, {0.9, 0.7}, {0.8, 0.85}, {0.7, 0.88}};
  EXPECT_EQ(sparsest_within(points, 0.9, 0.01), 0.5);
  EXPECT_EQ(sparsest_within(points, 0.9, 0.02), 0.7);
  EXPECT_EQ(sparsest_within(points, 0.9, 0.06), 0.8);  // 0.88 at 0.7 is no reason to stop
  EXPECT_EQ(sparsest_within(points, 0.9, 0.5), 0.9);
  EXPECT_EQ(sparsest_within(points, 0.9, 0.009), std::nullopt);
  EXPECT_EQ(sparsest_within({}, 0.9, 0.5), std::nullopt);
  // The value on the limit, in decimals.
  for (int reference = 1; reference <= 100; ++reference) {
    for (int loss = 0; loss <= reference; ++loss) {
      const std::vector<CurvePoint> one{{0.5, (reference - loss) / 100.0}};
      EXPECT_EQ(sparsest_within(one, reference / 100.0, loss / 100.0), 0.5);
      EXPECT_EQ(sparsest_within(one, reference / 100.0, loss / 100.0 - 1e-12), std::nullopt);
    }
  }
  EXPECT_THROW(sparsest_within(points, kNaN, 0.1), NumericError);
  EXPECT_THROW(sparsest_within(points, 0.9, kNaN), NumericError);
  EXPECT_THROW(sparsest_within(std::vector<CurvePoint>{{0.5, kNaN}}, 0.9, 0.1), NumericError);
}

}  // namespace filigree
