// Costs that `bench crossover` finds from times.
#include "tools/filigree/cost_fit.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "core/random.h"

namespace filigree {
namespace {

template <size_t N>
using Work = std::vector<std::array<double, N>>;

/// What it takes at these costs.
template <size_t N>
std::vector<double> times_of(const Work<N>& work, const std::array<double, N>& costs) {
  std::vector<double> times;
  for (const auto& parts : work) {
    double time = 0;
    for (size_t i = 0; i < N; ++i) time += costs[i] * parts[i];
    times.push_back(time);
  }
  return times;
}

/// Of very different sizes, as patterns are.
Work<3> random_work(int64_t cases) {
  RandomStream random(7, Purpose::test);
  Work<3> work;
  for (int64_t m = 0; m < cases; ++m) {
    work.push_back({std::exp(12 * random.uniform()), std::exp(8 * random.uniform()),
                    m % 3 == 0 ? 0 : std::exp(6 * random.uniform())});
  }
  return work;
}

/// Sum of the squared relative errors.
template <size_t N>
double error_of(const Work<N>& work, const std::vector<double>& times,
                const std::array<double, N>& costs) {
  const std::vector<double> predicted = times_of(work, costs);
  double error = 0;
  for (size_t m = 0; m < times.size(); ++m) error += std::pow(predicted[m] / times[m] - 1, 2);
  return error;
}

}  // namespace

TEST(CostFit, FindsTheCostsOfExactTimes) {
  const Work<3> work = random_work(13);
  for (const std::array<double, 3>& costs :
       {std::array{6.5, 209.0, 11.7}, std::array{0.02, 300.0, 0.0}, std::array{5.0, 0.0, 70.0},
        std::array{3.0, 0.0, 0.0}}) {
    const auto found = fit(work, times_of(work, costs));
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i], costs[i], 1e-6 * (1 + costs[i]));
  }
}

TEST(CostFit, IsTheLeastOfItsNeighboursWhereTimesAreNot) {
  const Work<3> work = random_work(13);
  std::vector<double> times = times_of<3>(work, {6.5, 209, 11.7});
  RandomStream random(8, Purpose::test);
  for (double& time : times) time *= 0.8 + 0.4 * random.uniform();
  const auto found = fit(work, times);
  const double least = error_of(work, times, found);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GE(found[i], 0);
    for (const double change : {-0.01, 0.01}) {
      auto other = found;
      other[i] = std::max(0.0, other[i] + change * (1 + other[i]));
      EXPECT_GE(error_of(work, times, other), least);
    }
  }
}

TEST(CostFit, OfWorkThatComesTogetherIsFiniteAndFits) {
  // The second kind is twice the first, the third is never there.
  Work<3> work;
  for (const double size : {1.0, 7.0, 50.0, 333.0}) work.push_back({size, 2 * size, 0});
  const std::vector<double> times = times_of<3>(work, {3, 2, 9});
  const auto found = fit(work, times);
  for (const double cost : found) EXPECT_TRUE(std::isfinite(cost) && cost >= 0);
  EXPECT_GT(found[0], 0);
  EXPECT_NEAR(error_of(work, times, found), 0, 1e-12);
}

TEST(CostFit, KeepsTheFirstCostAboveZero) {
  // All is said by the second kind, and less than nothing is left to the first.
  const Work<2> work{{1, 10}, {2, 5}, {4, 1}};
  const std::vector<double> exact = times_of<2>(work, {0, 2}), below = times_of<2>(work, {-0.3, 2});
  for (const std::vector<double>& times : {exact, below}) {
    const auto found = fit(work, times);
    EXPECT_GT(found[0], 0);
    EXPECT_GE(found[1], 0);
  }
  // The best of what is left: the first alone.
  const auto found = fit(work, below);
  double squares = 0, products = 0;
  for (size_t m = 0; m < work.size(); ++m) {
    squares += std::pow(work[m][0] / below[m], 2);
    products += work[m][0] / below[m];
  }
  EXPECT_NEAR(found[0], products / squares, 1e-12);
  EXPECT_EQ(found[1], 0);
}

}  // namespace filigree
