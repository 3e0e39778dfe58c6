// Scattered edges in the order in which the edges kernel walks them. Private to kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace filigree::kernels {

/// Queries of a block: their q, gradients and outputs stay in the first cache.
inline constexpr int kRowBits = 6;
inline constexpr int64_t kEdgeRows = int64_t{1} << kRowBits;
/// A row of scores begins at a multiple of this many.
inline constexpr int64_t kScorePad = 16;

/// The edges of rows [first, last) of one sequence, column by column: a key is fetched once for all
/// queries of the block that see it. Memory: 4 bytes an edge, 8 a column.
struct EdgeBlock {
  int64_t first = 0, last = 0;
  std::vector<int32_t> columns;   // ascending
  std::vector<uint32_t> ends;     // where the edges of each column end in entries
  std::vector<uint32_t> entries;  // (score << kRowBits) | row - first
  std::vector<int32_t> starts;    // (rows + 1) where the scores of each row begin, padded

  int64_t scores() const { return starts.back(); }
};

/// Builds the block from row(i, out), which gives i's columns in ascending order and returns how
/// many; `room` is the most that it gives. Cost O(edges + columns spanned), or O(edges log edges)
/// where these are few in a wide span.
EdgeBlock make_edge_block(int64_t first, int64_t last, int64_t room,
                          const std::function<int64_t(int64_t i, int32_t* out)>& row);

}  // namespace filigree::kernels
