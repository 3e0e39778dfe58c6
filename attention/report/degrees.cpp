#include "attention/report/degrees.h"

#include <cmath>
#include <map>

#include "attention/report/rows.h"

namespace filigree {

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
  double sum = 0, squares = 0;
  for (const int64_t d : degrees) {
    ++counts[d];
    sum += static_cast<double>(d);
    squares += static_cast<double>(d) * static_cast<double>(d);
  }
  DegreeDistribution result;
  if (degrees.empty()) return result;
  const auto nodes = static_cast<double>(degrees.size());
  result.mean = sum / nodes;
  result.deviation = std::sqrt(std::max(0.0, squares / nodes - result.mean * result.mean));
  for (const auto& [d, count] : counts) {
    result.degree.push_back(d);
    result.node.push_back(static_cast<double>(count) / nodes);
    result.edge.push_back(sum == 0 ? 0 : static_cast<double>(d * count) / sum);
  }
  return result;
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
