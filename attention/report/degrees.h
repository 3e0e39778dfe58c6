// Degree distributions of an attention graph, as coding theory writes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/graph.h"

namespace filigree {

/// The degrees of some nodes. From the nodes' perspective, degree d_k has the share p_k of the
/// nodes; from the edges', the share lambda_k = d_k p_k / sum_i d_i p_i of the edges ends at such
/// nodes. (Richardson and Urbanke, Modern Coding Theory, section 3.3.)
struct DegreeDistribution {
  std::vector<int64_t> degree;  ///< ascending
  std::vector<double> node;     ///< p, sums to 1 (empty for no nodes)
  std::vector<double> edge;     ///< lambda, sums to 1 (all 0 without edges)
  double mean = 0, deviation = 0;

  int64_t least() const { return degree.empty() ? 0 : degree.front(); }
  int64_t most() const { return degree.empty() ? 0 : degree.back(); }
  /// The smallest degree that at least the share q of the nodes do not exceed.
  int64_t quantile(double q) const;
};

/// Of any list of degrees >= 0.
DegreeDistribution distribution_of(std::span<const int64_t> degrees);
/// From the share of the nodes that each degree has; degrees >= 0 and ascending. Throws ShapeError
/// for sizes, ConfigError for the degrees, NumericError unless the shares are a distribution.
DegreeDistribution from_nodes(std::span<const int64_t> degree, std::span<const double> node);
/// From the share of the edges: p_k = (lambda_k / d_k) / sum_i (lambda_i / d_i). Degrees >= 1: of
/// nodes without edges the edges know nothing. Throws as from_nodes().
DegreeDistribution from_edges(std::span<const int64_t> degree, std::span<const double> edge);

/// How many keys each query of a head sees; how many queries see each key. Cost O(edges).
std::vector<int64_t> row_degrees(const AttentionGraph& graph, int head);
std::vector<int64_t> column_degrees(const AttentionGraph& graph, int head);

}  // namespace filigree
