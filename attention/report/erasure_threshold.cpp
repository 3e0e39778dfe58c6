#include "attention/report/erasure_threshold.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace filigree {

namespace {

constexpr int kPoints = 4096;
constexpr double kLeast = 1e-9;  // of x; the infimum may lie at 0
constexpr int kSections = 60;    // shrink a bracket by 0.618^60 = 3e-13

/// x / lambda(1 - rho(1 - x)): the eps of which x is a fixed point.
double fixed_at(double x, const DegreeDistribution& variable, const DegreeDistribution& check) {
  double y = 0;  // 1 - rho(1 - x), without cancellation for small x
  for (size_t k = 0; k < check.degree.size(); ++k) {
    const auto power = static_cast<double>(check.degree[k] - 1);
    if (power > 0) y -= check.edge[k] * std::expm1(power * std::log1p(-x));
  }
  double lambda = 0;
  for (size_t k = 0; k < variable.degree.size(); ++k) {
    const auto power = static_cast<double>(variable.degree[k] - 1);
    if (power >= 0) lambda += variable.edge[k] * std::pow(y, power);
  }
  return x / lambda;  // lambda = 0: every share is recovered
}

template <class F>
double least_between(double low, double high, F f) {
  constexpr double kRatio = 1 / std::numbers::phi;
  double a = high - kRatio * (high - low), b = low + kRatio * (high - low);
  double at_a = f(a), at_b = f(b);
  for (int k = 0; k < kSections; ++k) {
    if (at_a <= at_b) {
      high = b, b = a, at_b = at_a;
      at_a = f(a = high - kRatio * (high - low));
    } else {
      low = a, a = b, at_a = at_b;
      at_b = f(b = low + kRatio * (high - low));
    }
  }
  return std::min(at_a, at_b);
}

void expect_edges(const DegreeDistribution& degrees) {
  if (degrees.most() > 0 && degrees.mean > 0) return;
  throw ConfigError("degrees", "the threshold of an ensemble without edges",
                    "give variable and check nodes a degree of at least 1");
}

}  // namespace

double erasure_threshold(const DegreeDistribution& variable, const DegreeDistribution& check) {
  expect_edges(variable);
  expect_edges(check);
  // Nodes of degree 1 pass on whatever the channel erased, so that no x near 0 shrinks.
  for (size_t k = 0; k < variable.degree.size(); ++k) {
    if (variable.degree[k] == 1 && variable.edge[k] > 0) return 0;
  }
  const auto eps = [&](double log_x) {
    return fixed_at(std::exp(std::min(log_x, 0.0)), variable, check);
  };
  std::vector<double> at(kPoints), value(kPoints);
  for (int k = 0; k < kPoints; ++k) {
    at[static_cast<size_t>(k)] = std::log(kLeast) * (1 - static_cast<double>(k) / (kPoints - 1));
    value[static_cast<size_t>(k)] = eps(at[static_cast<size_t>(k)]);
  }
  double least = 1;
  for (size_t k = 0; k < at.size(); ++k) {
    const size_t before = k == 0 ? 0 : k - 1, after = std::min(k + 1, at.size() - 1);
    if (value[k] > value[before] || value[k] > value[after]) continue;
    least = std::min({least, value[k], least_between(at[before], at[after], eps)});
  }
  return least;
}

}  // namespace filigree
