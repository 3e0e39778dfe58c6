// A graph as tiles of 64 queries by 64 keys, for devices: full ones, ones that the rows' intervals
// describe, and ones with a bit an edge; tiles without an edge are left out. Private to kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "attention/graph.h"

namespace filigree::kernels {

inline constexpr int64_t kTileRows = 64;  // queries of a tile, and keys

/// What stands in place of the index of a tile's mask.
inline constexpr int32_t kFullTile = -1;      // every query sees every key
inline constexpr int32_t kIntervalTile = -2;  // query i sees the keys in [lo_i, hi_i)
inline constexpr int32_t kDrawnTile = -3;     // query i sees what it has drawn (drawn_attention.h)

/// The tiles of one sequence. Memory O(tiles), and 512 bytes for every one with a mask.
struct SequenceTiles {
  struct Entry {
    int32_t block;  // the other side's: keys 64 block .. for a row of tiles, queries for a column
    int32_t mask;   // index into masks, or one of the above
  };
  std::vector<int64_t> row_bounds, column_bounds;  // (blocks+1) into the entries of a row, column
  std::vector<Entry> rows, columns;                // ascending in block
  std::vector<uint64_t> masks;                     // (masks, 64): bit c of word r is edge (r, c)

  int64_t blocks() const { return static_cast<int64_t>(row_bounds.size()) - 1; }
  int64_t bytes() const;
};

/// Cost O(n + tiles + edges outside intervals).
SequenceTiles make_tiles(const SequenceGraph& graph);

/// How many of them there are.
struct TileCounts {
  int64_t full = 0, intervals = 0, masked = 0;
  int64_t rows = 0;  // of tiles, empty ones included

  int64_t tiles() const { return full + intervals + masked; }
  /// What they take, as SequenceTiles::bytes().
  int64_t bytes() const;
  TileCounts& operator+=(const TileCounts& other) {
    full += other.full;
    intervals += other.intervals;
    masked += other.masked;
    rows += other.rows;
    return *this;
  }
};

/// Of the tiles that make_tiles() would make, at its cost, in the memory of one row of them.
TileCounts count_tiles(const SequenceGraph& graph);

}  // namespace filigree::kernels
