#include "attention/kernels/graph_edges.h"

namespace filigree::kernels {

int64_t SequenceEdges::bytes() const {
  return static_cast<int64_t>((row_bounds.size() + column_bounds.size()) * sizeof(int64_t) +
                              (columns.size() + rows.size()) * sizeof(int32_t));
}

int64_t edges_bytes(const SequenceGraph& graph) {
  return 2 * (static_cast<int64_t>(sizeof(int64_t)) * (graph.length() + 1) +
              static_cast<int64_t>(sizeof(int32_t)) * graph.edges());
}

SequenceEdges make_edges(const SequenceGraph& graph) {
  const auto tokens = static_cast<size_t>(graph.length());
  SequenceEdges edges;
  edges.row_bounds.push_back(0);
  edges.columns.reserve(static_cast<size_t>(graph.edges()));
  edges.column_bounds.assign(tokens + 1, 0);
  std::vector<int32_t> row(tokens);
  for (size_t i = 0; i < tokens; ++i) {
    const int64_t count = graph.row(static_cast<int64_t>(i), row.data());
    edges.columns.insert(edges.columns.end(), row.begin(), row.begin() + count);
    edges.row_bounds.push_back(static_cast<int64_t>(edges.columns.size()));
  }
  for (const int32_t j : edges.columns) ++edges.column_bounds[static_cast<size_t>(j) + 1];
  for (size_t j = 0; j < tokens; ++j) edges.column_bounds[j + 1] += edges.column_bounds[j];
  edges.rows.resize(edges.columns.size());
  std::vector<int64_t> next(edges.column_bounds.begin(), edges.column_bounds.end() - 1);
  for (size_t i = 0; i < tokens; ++i) {
    for (auto e = static_cast<size_t>(edges.row_bounds[i]);
         e < static_cast<size_t>(edges.row_bounds[i + 1]); ++e) {
      const auto at = static_cast<size_t>(next[static_cast<size_t>(edges.columns[e])]++);
      edges.rows[at] = static_cast<int32_t>(i);
    }
  }
  return edges;
}

}  // namespace filigree::kernels
