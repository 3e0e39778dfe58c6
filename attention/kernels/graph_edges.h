// A graph as lists of edges, by rows and by columns, for devices. Private to kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "attention/graph.h"

namespace filigree::kernels {

/// The edges of one sequence; tokens count from its first. 16 bytes a token and 8 an edge.
struct SequenceEdges {
  std::vector<int64_t> row_bounds, column_bounds;  // (n+1)
  std::vector<int32_t> columns;                    // (edges) of every row, ascending
  std::vector<int32_t> rows;                       // (edges) of every column, ascending

  int64_t bytes() const;
};

/// What make_edges() of a graph would take, as SequenceEdges::bytes().
int64_t edges_bytes(const SequenceGraph& graph);

/// Cost O(n + edges).
SequenceEdges make_edges(const SequenceGraph& graph);

}  // namespace filigree::kernels
