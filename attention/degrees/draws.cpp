#include "attention/degrees/draws.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "attention/degrees/distribution.h"
#include "attention/degrees/progress.h"
#include "core/error.h"
#include "core/random.h"

namespace filigree {

namespace {

constexpr double kHottest = 2, kColdest = 0.5;
constexpr double kLeastTau = 0.01;

void expect_count(std::string_view what, size_t got, int64_t wanted) {
  if (static_cast<int64_t>(got) == wanted) return;
  throw ShapeError("degrees", fmt::format("expected {} of {} reaches, got {}", what, wanted, got),
                   "a draw has one value a reach of the grid");
}

/// Exponential with mean 1, never 0: the uniform number lies in the middle of its 2^-32.
double exponential(uint32_t bits) { return -std::log((static_cast<double>(bits) + 0.5) * 0x1p-32); }

}  // namespace

double draw_temperature(int64_t step, int64_t steps) {
  return kHottest * std::pow(kColdest / kHottest, progress_of(step, steps));
}

uint64_t ReachDraws::key_of(const GraphKey& key) {
  return mix_key({key.seed, static_cast<uint64_t>(Purpose::degree_draws), key.step,
                  static_cast<uint64_t>(key.layer), static_cast<uint64_t>(key.head)});
}

void ReachDraws::expect_temperature(double tau) {
  if (tau >= kLeastTau && std::isfinite(tau)) return;
  throw ConfigError("degrees", fmt::format("draws at temperature {}", tau),
                    fmt::format("give a finite number of at least {}", kLeastTau));
}

ReachDraws::ReachDraws(std::vector<double> p, double tau, const GraphKey& key)
    : p_(std::move(p)), tau_(tau), key_(key_of(key)) {
  expect_probabilities("degrees", p_);
  expect_temperature(tau);
}

/// body(k, E_ik / p_k) for every k: reaches race, and the first to arrive is drawn.
template <class Body>
void ReachDraws::for_times(int64_t token, Body body) const {
  RandomBlock block{};
  for (size_t k = 0; k < p_.size(); ++k) {
    if (k % 4 == 0) block = philox(key_, static_cast<uint64_t>(token), k / 4);
    body(k, exponential(block[k % 4]) / p_[k]);
  }
}

int64_t ReachDraws::hard(int64_t token) const {
  size_t first = 0;
  double least = std::numeric_limits<double>::infinity();
  for_times(token, [&](size_t k, double time) {
    if (time < least) first = k, least = time;
  });
  return static_cast<int64_t>(first);
}

int64_t ReachDraws::soft(int64_t token, std::span<double> z) const {
  expect_count("a draw", z.size(), count());
  for_times(token, [&](size_t k, double time) { z[k] = time; });
  const auto first = std::min_element(z.begin(), z.end());
  const double least = *first;
  double sum = 0;
  for (double& value : z) sum += value = std::pow(least / value, 1 / tau_);
  for (double& value : z) value /= sum;
  return first - z.begin();
}

void ReachDraws::add_logit_gradient(std::span<const double> z, std::span<const double> z_gradient,
                                    std::span<double> logit_gradient) const {
  expect_count("a draw", z.size(), count());
  expect_count("its gradient", z_gradient.size(), count());
  expect_count("the gradient of logits", logit_gradient.size(), count());
  const std::vector<double> of_softmax = filigree::logit_gradient(z, z_gradient);
  for (size_t k = 0; k < of_softmax.size(); ++k) logit_gradient[k] += of_softmax[k] / tau_;
}

}  // namespace filigree
