#include "attention/kernels/graph_tiles.h"

#include <algorithm>

namespace filigree::kernels {

namespace {

/// Bits [from, to) of a word, 0 <= from, to <= 64.
uint64_t bits_between(int64_t from, int64_t to) {
  if (from >= to) return 0;
  const uint64_t upper = to == kTileRows ? ~uint64_t{0} : (uint64_t{1} << to) - 1;
  return upper & (~uint64_t{0} << from);
}

/// One row of tiles at a time.
class RowOfTiles {
 public:
  explicit RowOfTiles(const SequenceGraph& graph)
      : graph_(graph),
        blocks_((graph.length() + kTileRows - 1) / kTileRows),
        slot_(static_cast<size_t>(blocks_), -1) {}

  /// Appends the tiles of queries 64 row .. to `tiles`.
  void append(int64_t row, SequenceTiles& tiles) {
    first_ = row * kTileRows;
    last_ = std::min(graph_.length(), first_ + kTileRows);
    span_intervals();
    take_scattered();
    for (const int64_t block : blocks_with_edges()) {
      const int32_t slot = slot_[static_cast<size_t>(block)];
      if (slot < 0 && whole_row_sees(block)) {
        tiles.rows.push_back({static_cast<int32_t>(block), kFullTile});
        continue;
      }
      if (slot < 0 && a_query_sees(block)) {
        tiles.rows.push_back({static_cast<int32_t>(block), kIntervalTile});
        continue;
      }
      const uint64_t whole =
          bits_between(0, std::min(kTileRows, graph_.length() - block * kTileRows));
      bool full = true, empty = true;
      for (int64_t r = 0; r < last_ - first_; ++r) {
        uint64_t bits = interval_bits(first_ + r, block);
        if (slot >= 0) bits = word(slot, r) |= bits;
        full = full && bits == whole;
        empty = empty && bits == 0;
      }
      if (empty) continue;
      tiles.rows.push_back({static_cast<int32_t>(block), full       ? kFullTile
                                                         : slot < 0 ? kIntervalTile
                                                                    : keep(slot, tiles)});
    }
    for (const int64_t block : touched_) slot_[static_cast<size_t>(block)] = -1;
    touched_.clear();
    scattered_.clear();
  }

 private:
  uint64_t interval_bits(int64_t i, int64_t block) const {
    const SequenceGraph::Parts& parts = graph_.parts();
    const int64_t at = block * kTileRows;
    return bits_between(std::clamp<int64_t>(parts.lo[static_cast<size_t>(i)] - at, 0, kTileRows),
                        std::clamp<int64_t>(parts.hi[static_cast<size_t>(i)] - at, 0, kTileRows));
  }
  /// What the rows' intervals have in common, and what they span.
  void span_intervals() {
    const SequenceGraph::Parts& parts = graph_.parts();
    low_ = graph_.length();
    high_ = common_low_ = 0;
    common_high_ = graph_.length();
    for (int64_t i = first_; i < last_; ++i) {
      const int64_t lo = parts.lo[static_cast<size_t>(i)], hi = parts.hi[static_cast<size_t>(i)];
      common_low_ = std::max(common_low_, lo);
      common_high_ = std::min(common_high_, hi);
      if (lo >= hi) continue;
      low_ = std::min(low_, lo);
      high_ = std::max(high_, hi);
    }
  }
  bool whole_row_sees(int64_t block) const {
    const int64_t at = block * kTileRows;
    return common_low_ <= at && std::min(at + kTileRows, graph_.length()) <= common_high_;
  }
  /// Whether the first query or the last sees a key of the block, but not both the whole of it:
  /// then it is known to be an interval tile. Otherwise the rows have to be looked at.
  bool a_query_sees(int64_t block) const {
    const SequenceGraph::Parts& parts = graph_.parts();
    const int64_t at = block * kTileRows;
    for (const int64_t i : {first_, last_ - 1}) {
      const int64_t lo = parts.lo[static_cast<size_t>(i)], hi = parts.hi[static_cast<size_t>(i)];
      if (std::max(lo, at) < std::min(hi, at + kTileRows)) return true;
    }
    return false;
  }
  /// Ascending: those that the rows' intervals span, and those with scattered columns.
  std::vector<int64_t> blocks_with_edges() const {
    std::vector<int64_t> blocks = touched_;
    for (int64_t block = low_ / kTileRows; block * kTileRows < high_; ++block) {
      if (slot_[static_cast<size_t>(block)] < 0) blocks.push_back(block);
    }
    std::ranges::sort(blocks);
    return blocks;
  }
  uint64_t& word(int32_t slot, int64_t r) {
    return scattered_[static_cast<size_t>(slot * kTileRows + r)];
  }
  void set(int64_t i, int64_t column) {
    int32_t& slot = slot_[static_cast<size_t>(column / kTileRows)];
    if (slot < 0) {
      slot = static_cast<int32_t>(touched_.size());
      touched_.push_back(column / kTileRows);
      scattered_.resize(scattered_.size() + kTileRows, 0);
    }
    word(slot, i - first_) |= uint64_t{1} << (column % kTileRows);
  }
  /// What is outside the intervals: extra columns always are, global ones may not be.
  void take_scattered() {
    const SequenceGraph::Parts& parts = graph_.parts();
    for (int64_t i = first_; i < last_; ++i) {
      const auto at = static_cast<size_t>(i);
      for (const int32_t column : graph_.extras(i)) set(i, column);
      for (const int32_t column : parts.globals) {
        if (column < parts.lo[at] || column >= parts.hi[at]) set(i, column);
      }
    }
  }
  int32_t keep(int32_t slot, SequenceTiles& tiles) {
    const auto index = static_cast<int32_t>(static_cast<int64_t>(tiles.masks.size()) / kTileRows);
    const auto from = scattered_.begin() + slot * kTileRows;
    tiles.masks.insert(tiles.masks.end(), from, from + kTileRows);
    return index;
  }

  const SequenceGraph& graph_;
  int64_t blocks_;
  int64_t first_ = 0, last_ = 0;              // of the queries
  int64_t low_ = 0, high_ = 0;                // keys of their intervals together
  int64_t common_low_ = 0, common_high_ = 0;  // keys that all of them see
  std::vector<int32_t> slot_;                 // of a block's words in scattered_; -1 for none
  std::vector<int64_t> touched_;              // blocks that have a slot, in order of slots
  std::vector<uint64_t> scattered_;           // (slots, 64)
};

/// The columns of tiles: the rows' entries by block, ascending in the row.
void transpose(SequenceTiles& tiles) {
  const int64_t blocks = tiles.blocks();
  tiles.column_bounds.assign(static_cast<size_t>(blocks + 1), 0);
  for (const auto& entry : tiles.rows) ++tiles.column_bounds[static_cast<size_t>(entry.block) + 1];
  for (size_t b = 0; b < static_cast<size_t>(blocks); ++b) {
    tiles.column_bounds[b + 1] += tiles.column_bounds[b];
  }
  std::vector<int64_t> next(tiles.column_bounds.begin(), tiles.column_bounds.end() - 1);
  tiles.columns.resize(tiles.rows.size());
  for (int64_t row = 0; row < blocks; ++row) {
    const auto at = static_cast<size_t>(row);
    for (int64_t e = tiles.row_bounds[at]; e < tiles.row_bounds[at + 1]; ++e) {
      const auto& entry = tiles.rows[static_cast<size_t>(e)];
      const int64_t to = next[static_cast<size_t>(entry.block)]++;
      tiles.columns[static_cast<size_t>(to)] = {static_cast<int32_t>(row), entry.mask};
    }
  }
}

}  // namespace

int64_t SequenceTiles::bytes() const {
  return static_cast<int64_t>((row_bounds.size() + column_bounds.size()) * sizeof(int64_t) +
                              (rows.size() + columns.size()) * sizeof(Entry) +
                              masks.size() * sizeof(uint64_t));
}

SequenceTiles make_tiles(const SequenceGraph& graph) {
  SequenceTiles tiles;
  const int64_t blocks = (graph.length() + kTileRows - 1) / kTileRows;
  RowOfTiles row(graph);
  tiles.row_bounds.push_back(0);
  for (int64_t b = 0; b < blocks; ++b) {
    row.append(b, tiles);
    tiles.row_bounds.push_back(static_cast<int64_t>(tiles.rows.size()));
  }
  transpose(tiles);
  return tiles;
}

int64_t TileCounts::bytes() const {
  constexpr auto kBound = static_cast<int64_t>(sizeof(int64_t));
  constexpr auto kEntry = static_cast<int64_t>(sizeof(SequenceTiles::Entry));
  constexpr int64_t kMask = kTileRows * static_cast<int64_t>(sizeof(uint64_t));
  return 2 * (kBound * (rows + 1) + kEntry * tiles()) + kMask * masked;
}

TileCounts count_tiles(const SequenceGraph& graph) {
  TileCounts counts;
  counts.rows = (graph.length() + kTileRows - 1) / kTileRows;
  RowOfTiles row(graph);
  SequenceTiles of_row;
  for (int64_t b = 0; b < counts.rows; ++b) {
    of_row.rows.clear();
    of_row.masks.clear();
    row.append(b, of_row);
    for (const SequenceTiles::Entry& entry : of_row.rows) {
      ++(entry.mask == kFullTile       ? counts.full
         : entry.mask == kIntervalTile ? counts.intervals
                                       : counts.masked);
    }
  }
  return counts;
}

}  // namespace filigree::kernels
