// The tiles of a batch on a device. Private to kernels.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "attention/kernels/graph_tiles.h"
#include "core/tensor.h"

namespace filigree {
struct AlwaysOn;
}

namespace filigree::kernels {

/// One tile of a row or a column of tiles in a batch.
struct alignas(16) TileEntry {
  int32_t first;  ///< first packed token of the other side's block
  int32_t count;  ///< tokens of that block
  int32_t mask;   ///< as in SequenceTiles, or kDrawnTile
  int32_t block;  ///< the other side's block
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
  // Of drawn tiles:
  const uint8_t* always = nullptr;           // (T): whether a token is always on
  const uint64_t* always_columns = nullptr;  // (NB): the same, bit c for token c of the block
  int64_t blocks = 0;
};

/// Puts a batch's tiles together and on the device.
DeviceGraph make_device_graph(const AttentionGraph& graph, Device device);

/// Tiles for tokens that draw reaches of up to `reach`: all that may hold an edge, drawn tiles
/// every one, the same for all heads. offsets (B+1) as of a graph. Cost O(T / 64 + tiles).
DeviceGraph make_drawn_graph(const Tensor& offsets, int64_t heads, int64_t reach,
                             const AlwaysOn* always, Device device);

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
