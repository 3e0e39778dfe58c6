#include "attention/degrees/water_filling.h"

#include <cmath>
#include <fmt/format.h>
#include <queue>
#include <tuple>

#include "core/error.h"

namespace filigree {

namespace {

/// The next distance that a head could see.
struct Offer {
  double g;
  int64_t d;
  size_t head;

  /// Whether the other is bought first.
  bool operator<(const Offer& other) const {
    return std::tuple(-other.g, other.d, other.head) < std::tuple(-g, d, head);
  }
};

void expect_tail(const std::vector<double>& g, int64_t reach) {
  if (static_cast<int64_t>(g.size()) != reach + 1) {
    throw ShapeError("degrees",
                     fmt::format("expected a tail of {} values, got {}", reach + 1, g.size()),
                     "the counts and the tails need the same largest reach");
  }
  for (size_t d = 0; d < g.size(); ++d) {
    if (!(g[d] >= 0 && g[d] <= 1)) {
      throw NumericError("degrees", fmt::format("g({}) is {}", d, g[d]),
                         "a tail has values from 0 to 1");
    }
    if (d > 0 && g[d] > g[d - 1]) {
      throw ConfigError("degrees",
                        fmt::format("g({}) = {} rises to g({}) = {}", d - 1, g[d - 1], d, g[d]),
                        "windows need a tail that never rises");
    }
  }
}

void expect_budget(int64_t budget, int64_t always) {
  if (budget >= always) return;
  throw ConfigError("degrees",
                    fmt::format("a budget of {} edges, of which {} are always on", budget, always),
                    "ask for a larger density, or for fewer global tokens");
}

}  // namespace

int64_t edge_budget(double density, const DistanceCounts& counts, int64_t heads) {
  counts.expect_feasible("degrees", density);
  if (heads < 1) {
    throw ConfigError("degrees", fmt::format("a budget for {} heads", heads), "give at least 1");
  }
  const double pairs = static_cast<double>(counts.pairs()) * static_cast<double>(heads);
  const double budget = std::floor(density * pairs);
  // The product may have been rounded across a whole number, the quotient tells.
  if (budget / pairs > density) return static_cast<int64_t>(budget) - 1;
  return static_cast<int64_t>((budget + 1) / pairs <= density ? budget + 1 : budget);
}

std::vector<int64_t> water_filling(std::span<const std::vector<double>> tails,
                                   const DistanceCounts& counts, int64_t budget) {
  for (const std::vector<double>& g : tails) expect_tail(g, counts.reach());
  const int64_t always = counts.always() * static_cast<int64_t>(tails.size());
  expect_budget(budget, always);

  std::vector<int64_t> reach(tails.size(), 0);
  std::priority_queue<Offer> offers;
  const auto offer_next = [&](size_t head) {
    const int64_t d = reach[head] + 1;
    if (d > counts.reach()) return;
    const double g = tails[head][static_cast<size_t>(d)];
    if (g > 0) offers.push({g, d, head});
  };
  for (size_t head = 0; head < tails.size(); ++head) offer_next(head);
  for (int64_t left = budget - always; !offers.empty();) {
    const Offer best = offers.top();
    offers.pop();
    // What does not fit now never will: the head is done, since windows have no holes.
    if (counts.at(best.d) > left) continue;
    left -= counts.at(best.d);
    reach[best.head] = best.d;
    offer_next(best.head);
  }
  for (int64_t& r : reach) {
    while (r > 0 && counts.at(r) == 0) --r;
  }
  return reach;
}

}  // namespace filigree
