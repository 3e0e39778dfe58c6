// The tiles of a batch on a device. Private to kernels.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "attention/kernels/graph_tiles.h"
#include "core/tensor.h"

namespace filigree {
struct AlwaysOn;
}

namespace filigree::kernels {

/// The tiles of one sequence in a device's memory; tokens and blocks of 64 count from its first.
struct DeviceTiles {
  const int32_t *lo = nullptr, *hi = nullptr;                     // (n): keys of a query's interval
  const int64_t *row_bounds = nullptr, *column_bounds = nullptr;  // as in SequenceTiles
  const SequenceTiles::Entry *rows = nullptr, *columns = nullptr;
  const uint64_t* masks = nullptr;
};

/// What was put on devices of one graph, once each: sequences, batches, layers and heads that have
/// the graph share it. Freed with the graph.
class TilesCache {
 public:
  /// Nothing of a device that has none.
  const DeviceTiles* find(Device device) const;
  /// `memory` holds the tables; of it, `bytes` are this graph's.
  void put(Device device, std::shared_ptr<const Tensor> memory, const DeviceTiles& tiles,
           int64_t bytes);
  /// Memory on all devices. It is free when the last graph is gone that was put there together with
  /// this one: at most 256 KiB later.
  int64_t bytes() const;

 private:
  struct Kept {
    std::shared_ptr<const Tensor> memory;
    DeviceTiles tiles;
    int64_t bytes;
  };
  mutable std::mutex mutex_;
  std::map<int, Kept> kept_;  // by the device's index
};

/// 64 tokens of a sequence, or what is left of it.
struct alignas(16) BlockPlace {
  int32_t sequence;
  int32_t block;         // of the sequence
  int32_t first, count;  // packed tokens
};

/// The tiles of a batch on a device. Blocks are those of all sequences, in order; every group has
/// the same. The pointers lead into `memory`; those of `sequences` into what the caches of the
/// batch's graphs hold, or into `own`.
struct DeviceGraph {
  Tensor memory, own;                      // (bytes) u8
  const BlockPlace* places = nullptr;      // (NB)
  const int32_t* ends = nullptr;           // (B): the packed token behind a sequence
  const DeviceTiles* sequences = nullptr;  // (groups, B)
  const int32_t* group_of_head = nullptr;  // (H)
  // Of drawn tiles:
  const uint8_t* always = nullptr;           // (T): whether a token is always on
  const uint64_t* always_columns = nullptr;  // (NB): the same, bit c for token c of the block
  int64_t blocks = 0, sequence_count = 0;
};

/// The batch's graphs go to the device, if they are not there, and then what says where they are.
/// The graph must outlive what is made. Cost of graphs that are there O(T / 64 + groups B).
DeviceGraph make_device_graph(const AttentionGraph& graph, Device device);

/// (T): 1 for tokens that are always on; `always` may be null.
std::vector<uint8_t> always_on_flags(const Tensor& offsets, const AlwaysOn* always);

/// Tiles for tokens that draw reaches of up to `reach`: all that may hold an edge, drawn tiles
/// every one, the same for all heads. offsets (B+1) as of a graph. Cost O(T + tiles).
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
