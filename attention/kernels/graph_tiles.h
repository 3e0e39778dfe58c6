// A graph as tiles of 64 queries by 64 keys, for devices: full ones, ones that the rows' intervals
// describe, and ones with a bit an edge; tiles without an edge are left out. Private to kernels.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "attention/graph.h"
#include "core/tensor.h"

namespace filigree::kernels {

inline constexpr int64_t kTileRows = 64;  // queries of a tile, and keys

/// What stands in place of the index of a tile's mask.
inline constexpr int32_t kFullTile = -1;      // every query sees every key
inline constexpr int32_t kIntervalTile = -2;  // query i sees the keys in [lo_i, hi_i)

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

/// One tile of a row or a column of tiles in a batch.
struct TileEntry {
  int32_t first;  ///< first packed token of the other side's block
  int32_t count;  ///< tokens of that block
  int32_t mask;   ///< as in SequenceTiles
};

/// The tiles of a batch on a device. Blocks are those of all sequences, in order; every group has
/// the same. The pointers lead into `memory`, which went there as one copy.
struct DeviceGraph {
  Tensor memory;                               // (bytes) u8
  const int32_t *lo = nullptr, *hi = nullptr;  // (groups, T): packed keys of a token's interval
  const int32_t *block_first = nullptr, *block_count = nullptr;   // (NB): packed tokens of a block
  const int64_t *row_bounds = nullptr, *column_bounds = nullptr;  // (groups, NB+1) into the entries
  const TileEntry *row_entries = nullptr, *column_entries = nullptr;  // (E)
  const uint64_t* masks = nullptr;                                    // (M, 64)
  const int32_t* group_of_head = nullptr;                             // (H)
  int64_t blocks = 0;
};

/// Puts a batch's tiles together and on the device.
DeviceGraph make_device_graph(const AttentionGraph& graph, Device device);

/// What make_tiles() made of one graph, once.
class TilesCache {
 public:
  const SequenceTiles& get(const SequenceGraph& graph);
  /// Memory of what was made.
  int64_t bytes() const {
    const std::lock_guard lock(mutex_);
    return made_ ? made_->bytes() : 0;
  }

 private:
  mutable std::mutex mutex_;
  std::unique_ptr<const SequenceTiles> made_;
};

/// What Make made of one batch, once a device.
template <class Made, Made (*Make)(const AttentionGraph&, Device)>
class DeviceCache {
 public:
  std::shared_ptr<const Made> get(const AttentionGraph& graph, Device device) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Made>& made = made_[device.index];
    if (!made) made = std::make_shared<const Made>(Make(graph, device));
    return made;
  }

 private:
  std::mutex mutex_;
  std::map<int, std::shared_ptr<const Made>> made_;  // by the device's index
};

}  // namespace filigree::kernels
