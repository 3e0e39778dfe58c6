// Walks the rows of a graph with the memory of one row. Private to reports.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "attention/graph.h"

namespace filigree {

/// body(sequence b, packed row i, ascending columns) for every row of group g, in order.
template <class Body>
void for_rows(const AttentionGraph& graph, int g, Body body) {
  const int64_t* offsets = graph.offsets().data<int64_t>();
  std::vector<int32_t> row;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    row.resize(std::max(row.size(), static_cast<size_t>(offsets[b + 1] - offsets[b])));
    for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
      const int64_t count = graph.row(g, b, i, row.data());
      body(b, i, std::span<const int32_t>(row.data(), static_cast<size_t>(count)));
    }
  }
}

}  // namespace filigree
