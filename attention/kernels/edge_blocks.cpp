#include "attention/kernels/edge_blocks.h"

#include <algorithm>

#include "core/error.h"

namespace filigree::kernels {

namespace {

/// An edge while it is sorted: its column and its entry.
struct Edge {
  int32_t column;
  uint32_t entry;
};

void group_by_sorting(std::vector<Edge>& edges, EdgeBlock& block) {
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return a.column != b.column ? a.column < b.column : a.entry < b.entry;
  });
  for (size_t e = 0; e < edges.size(); ++e) {
    if (e == 0 || edges[e].column != edges[e - 1].column) {
      if (e > 0) block.ends.push_back(static_cast<uint32_t>(e));
      block.columns.push_back(edges[e].column);
    }
    block.entries[e] = edges[e].entry;
  }
  block.ends.push_back(static_cast<uint32_t>(edges.size()));
}

void group_by_counting(const std::vector<Edge>& edges, int32_t lowest, int64_t span,
                       EdgeBlock& block) {
  thread_local std::vector<uint32_t> places;
  places.assign(static_cast<size_t>(span), 0);
  for (const Edge& edge : edges) ++places[static_cast<size_t>(edge.column - lowest)];
  uint32_t total = 0;
  for (int64_t c = 0; c < span; ++c) {
    uint32_t& place = places[static_cast<size_t>(c)];
    const uint32_t count = place;
    place = total;
    total += count;
    if (count == 0) continue;
    block.columns.push_back(lowest + static_cast<int32_t>(c));
    block.ends.push_back(total);
  }
  for (const Edge& edge : edges) {
    block.entries[places[static_cast<size_t>(edge.column - lowest)]++] = edge.entry;
  }
}

}  // namespace

EdgeBlock make_edge_block(int64_t first, int64_t last, int64_t room,
                          const std::function<int64_t(int64_t i, int32_t* out)>& row) {
  thread_local std::vector<Edge> edges;
  thread_local std::vector<int32_t> columns;
  edges.clear();
  columns.resize(static_cast<size_t>(room));
  EdgeBlock block;
  block.first = first;
  block.last = last;
  block.starts.push_back(0);
  int32_t lowest = INT32_MAX, highest = 0;
  int64_t scores = 0;
  for (int64_t i = first; i < last; ++i) {
    const int64_t count = row(i, columns.data());
    if (scores + count + kScorePad >= int64_t{1} << (32 - kRowBits)) {
      throw ShapeError("sparse_attention", "too many edges in one block of rows");
    }
    for (int64_t e = 0; e < count; ++e) {
      const auto entry = static_cast<uint32_t>((scores + e) << kRowBits | (i - first));
      edges.push_back({columns[static_cast<size_t>(e)], entry});
    }
    if (count > 0) {
      lowest = std::min(lowest, columns[0]);
      highest = std::max(highest, columns[static_cast<size_t>(count - 1)]);
    }
    scores += (count + kScorePad - 1) / kScorePad * kScorePad;
    block.starts.push_back(static_cast<int32_t>(scores));
  }
  if (edges.empty()) return block;
  block.entries.resize(edges.size());
  const int64_t span = int64_t{highest} - lowest + 1;
  if (span > 16 * static_cast<int64_t>(edges.size())) {
    group_by_sorting(edges, block);
  } else {
    group_by_counting(edges, lowest, span, block);
  }
  block.columns.shrink_to_fit();  // blocks are kept
  block.ends.shrink_to_fit();
  return block;
}

}  // namespace filigree::kernels
