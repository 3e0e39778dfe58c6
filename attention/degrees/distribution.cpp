#include "attention/degrees/distribution.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

#include "core/error.h"

namespace filigree {

namespace {

constexpr double kSumTolerance = 1e-5;

void expect_size(std::string_view what, size_t got, int64_t wanted) {
  if (static_cast<int64_t>(got) == wanted) return;
  throw ShapeError("degrees", fmt::format("expected {} {}, got {}", wanted, what, got),
                   "a head has one logit a reach of its grid, and a tail from 0 to the largest");
}

double information(double p) { return p > 0 ? -std::log(p) : 0; }

}  // namespace

std::vector<double> reach_probabilities(std::span<const double> logits) {
  if (logits.empty()) {
    throw ShapeError("degrees", "a head without logits", "give one logit a reach of the grid");
  }
  for (size_t k = 0; k < logits.size(); ++k) {
    if (std::isfinite(logits[k])) continue;
    throw NumericError("degrees", fmt::format("logit {} is {}", k, logits[k]),
                       "lower the learning rate of the degrees, or clip their gradient");
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p(logits.size());
  double sum = 0;
  for (size_t k = 0; k < p.size(); ++k) sum += p[k] = std::exp(logits[k] - largest);
  for (double& value : p) value /= sum;
  return p;
}

void expect_probabilities(std::string_view where, std::span<const double> p) {
  if (p.empty()) throw ShapeError(where, "a distribution over nothing", "give at least one value");
  for (size_t k = 0; k < p.size(); ++k) {
    if (p[k] >= 0) continue;  // NaN is not
    throw NumericError(where, fmt::format("probability {} is {}", k, p[k]),
                       "a distribution has values from 0 to 1");
  }
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  if (std::abs(sum - 1) <= kSumTolerance) return;
  throw NumericError(where, fmt::format("probabilities sum to {}", sum),
                     "divide them by their sum");
}

std::vector<double> reach_tail(std::span<const double> p, const Reaches& reaches) {
  expect_size("probabilities", p.size(), reaches.count());
  std::vector<double> g(static_cast<size_t>(reaches.largest()) + 1);
  int64_t k = reaches.count() - 1;
  double sum = 0;
  for (int64_t d = reaches.largest(); d > 0; --d) {
    for (; reaches[k] >= d; --k) sum += p[static_cast<size_t>(k)];
    g[static_cast<size_t>(d)] = std::min(sum, 1.0);
  }
  g[0] = 1;
  return g;
}

double mean_reach(std::span<const double> p, const Reaches& reaches) {
  expect_size("probabilities", p.size(), reaches.count());
  double sum = 0;
  for (size_t k = 0; k < p.size(); ++k) sum += p[k] * static_cast<double>(reaches.values()[k]);
  return sum;
}

double mean_reach(std::span<const double> g) {
  if (g.empty()) throw ShapeError("degrees", "a tail of no distance", "a tail starts with g(0)");
  return std::accumulate(g.begin() + 1, g.end(), 0.0);
}

double entropy(std::span<const double> p) {
  double sum = 0;
  for (const double value : p) sum += value * information(value);
  return sum;
}

std::vector<double> probability_gradient(std::span<const double> tail_gradient,
                                         const Reaches& reaches) {
  expect_size("derivatives of the tail", tail_gradient.size(), reaches.largest() + 1);
  std::vector<double> gradient;
  gradient.reserve(static_cast<size_t>(reaches.count()));
  double sum = 0;
  size_t d = 1;
  for (const int64_t reach : reaches.values()) {
    for (; d <= static_cast<size_t>(reach); ++d) sum += tail_gradient[d];
    gradient.push_back(sum);
  }
  return gradient;
}

std::vector<double> logit_gradient(std::span<const double> p,
                                   std::span<const double> probability_gradient) {
  expect_size("derivatives", probability_gradient.size(), static_cast<int64_t>(p.size()));
  const double mean = std::inner_product(p.begin(), p.end(), probability_gradient.begin(), 0.0);
  std::vector<double> gradient(p.size());
  for (size_t k = 0; k < p.size(); ++k) gradient[k] = p[k] * (probability_gradient[k] - mean);
  return gradient;
}

std::vector<double> entropy_gradient(std::span<const double> p) {
  const double mean = entropy(p);
  std::vector<double> gradient(p.size());
  for (size_t k = 0; k < p.size(); ++k) gradient[k] = p[k] * (information(p[k]) - mean);
  return gradient;
}

}  // namespace filigree
