#include "attention/degrees/offset_filling.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

#include "core/error.h"

namespace filigree {

namespace {

void expect_gate(const std::vector<double>& g, int64_t reach) {
  if (static_cast<int64_t>(g.size()) != reach + 1) {
    throw ShapeError("degrees",
                     fmt::format("expected a gate of {} values, got {}", reach + 1, g.size()),
                     "the counts and the gates need the same largest reach");
  }
  for (size_t d = 0; d < g.size(); ++d) {
    if (g[d] >= 0 && g[d] <= 1) continue;
    throw NumericError("degrees", fmt::format("g({}) is {}", d, g[d]),
                       "a gate has values from 0 to 1");
  }
}

}  // namespace

std::vector<std::vector<int64_t>> offset_filling(std::span<const std::vector<double>> gates,
                                                 const DistanceCounts& counts, int64_t budget) {
  std::vector<std::tuple<double, int64_t, size_t>> offers;  // (-g, distance, head)
  for (size_t head = 0; head < gates.size(); ++head) {
    expect_gate(gates[head], counts.reach());
    for (int64_t d = 1; d <= counts.reach(); ++d) {
      const double g = gates[head][static_cast<size_t>(d)];
      if (g > 0 && counts.at(d) > 0) offers.emplace_back(-g, d, head);
    }
  }
  int64_t left = budget - counts.always() * static_cast<int64_t>(gates.size());
  if (left < 0) {
    throw ConfigError(
        "degrees",
        fmt::format("a budget of {} edges, of which {} are always on", budget, budget - left),
        "ask for a larger density, or for fewer global tokens");
  }
  std::sort(offers.begin(), offers.end());
  std::vector<std::vector<int64_t>> distances(gates.size());
  for (const auto& [_, d, head] : offers) {
    if (counts.at(d) > left) continue;
    left -= counts.at(d);
    distances[head].push_back(d);
  }
  for (auto& of_head : distances) std::sort(of_head.begin(), of_head.end());
  return distances;
}

}  // namespace filigree
