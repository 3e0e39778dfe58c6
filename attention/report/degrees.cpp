#include "attention/report/degrees.h"

#include <cmath>
#include <fmt/format.h>
#include <map>

#include "attention/degrees/distribution.h"
#include "attention/report/rows.h"
#include "core/error.h"

namespace filigree {

namespace {

void expect_ascending(std::span<const int64_t> degree, size_t shares, int64_t least) {
  if (degree.size() != shares) {
    throw ShapeError("degrees", fmt::format("{} shares of {} degrees", shares, degree.size()),
                     "give one a degree");
  }
  for (const int64_t d : degree) {
    if (d < least) {
      throw ConfigError("degrees",
                        fmt::format("a degree of {} where at least {} is expected, or "
                                    "degrees that do not ascend",
                                    d, least),
                        "name each degree once, in ascending order");
    }
    least = d + 1;
  }
}

}  // namespace

int64_t DegreeDistribution::quantile(double q) const {
  double below = 0;
  for (size_t k = 0; k < degree.size(); ++k) {
    below += node[k];
    if (below >= q - 1e-12) return degree[k];
  }
  return most();
}

DegreeDistribution distribution_of(std::span<const int64_t> degrees) {
  std::map<int64_t, int64_t> counts;
  for (const int64_t d : degrees) ++counts[d];
  if (degrees.empty()) return {};
  std::vector<int64_t> degree;
  std::vector<double> node;
  for (const auto& [d, count] : counts) {
    degree.push_back(d);
    node.push_back(static_cast<double>(count) / static_cast<double>(degrees.size()));
  }
  return from_nodes(degree, node);
}

DegreeDistribution from_nodes(std::span<const int64_t> degree, std::span<const double> node) {
  expect_ascending(degree, node.size(), 0);
  expect_probabilities("degrees", node);
  DegreeDistribution result{{degree.begin(), degree.end()}, {node.begin(), node.end()}, {}};
  for (size_t k = 0; k < node.size(); ++k) result.mean += static_cast<double>(degree[k]) * node[k];
  double variance = 0;
  for (size_t k = 0; k < node.size(); ++k) {
    const auto d = static_cast<double>(degree[k]);
    variance += (d - result.mean) * (d - result.mean) * node[k];
    result.edge.push_back(result.mean == 0 ? 0 : d * node[k] / result.mean);
  }
  result.deviation = std::sqrt(variance);
  return result;
}

DegreeDistribution from_edges(std::span<const int64_t> degree, std::span<const double> edge) {
  expect_ascending(degree, edge.size(), 1);
  expect_probabilities("degrees", edge);
  std::vector<double> node(edge.begin(), edge.end());
  double sum = 0;
  for (size_t k = 0; k < node.size(); ++k) sum += node[k] /= static_cast<double>(degree[k]);
  for (double& share : node) share /= sum;
  return from_nodes(degree, node);
}

std::vector<int64_t> row_degrees(const AttentionGraph& graph, int head) {
  std::vector<int64_t> degrees(static_cast<size_t>(graph.tokens()));
  for_rows(graph, graph.group_of_head(head), [&](int64_t, int64_t i, std::span<const int32_t> row) {
    degrees[static_cast<size_t>(i)] = static_cast<int64_t>(row.size());
  });
  return degrees;
}

std::vector<int64_t> column_degrees(const AttentionGraph& graph, int head) {
  std::vector<int64_t> degrees(static_cast<size_t>(graph.tokens()));
  for_rows(graph, graph.group_of_head(head), [&](int64_t, int64_t, std::span<const int32_t> row) {
    for (const int32_t j : row) ++degrees[static_cast<size_t>(j)];
  });
  return degrees;
}

}  // namespace filigree
