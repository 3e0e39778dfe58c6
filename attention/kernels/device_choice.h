// Which kernel computes a batch on a device, by the work that each would do. Private to kernels.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "attention/crossover.h"
#include "attention/graph.h"
#include "attention/kernels/graph_tiles.h"
#include "attention/kernels/sparse_attention.h"

namespace filigree::kernels {

/// The tiles of a sequence, counted once, when they are first asked for.
class CountedTiles {
 public:
  TileCounts get(const SequenceGraph& graph) {
    const std::lock_guard lock(mutex_);
    if (!counts_) counts_ = count_tiles(graph);
    return *counts_;
  }
  /// True if get() has nothing to count.
  bool counted() const {
    const std::lock_guard lock(mutex_);
    return counts_.has_value();
  }

 private:
  mutable std::mutex mutex_;
  std::optional<TileCounts> counts_;
};

/// The costs of a device's kernels for these heads; nothing where they were not measured.
std::optional<DeviceCosts> device_costs(Device device, const AttentionUse& use);

/// What tiles and edges do, forward and backward; counts as in DeviceCosts.
struct DeviceWork {
  double tiles = 0, parts = 0, tile_rows = 0, edges = 0, edge_rows = 0;

  /// By tiles or edges.
  double nanoseconds(AttentionKernel kernel, const DeviceCosts& costs) const;
};

/// Of one head of group g. Cost O(n + edges) of those of the batch's graphs whose tiles nobody has
/// counted, on all threads.
DeviceWork device_work(const AttentionGraph& graph, int g);
/// Of all heads together.
DeviceWork device_work(const AttentionGraph& graph);

/// Tiles or edges: the one of less time, and tiles if both take the same.
AttentionKernel faster(const DeviceWork& work, const DeviceCosts& costs);

/// Tiles or edges, for all heads and sequences: what is wanted, where edges can do it; if that is
/// automatic, the one of less time for all of them together, and tiles where nothing was measured.
/// Throws ConfigError where edges are wanted and cannot do it. Costs what device_work() costs.
AttentionKernel device_kernel(const AttentionGraph& graph, Device device, const AttentionUse& use);

/// The automatic choices for one batch, made once.
class DeviceChoices {
 public:
  AttentionKernel get(const AttentionGraph& graph, Device device, const AttentionUse& use);

 private:
  std::mutex mutex_;
  std::map<std::tuple<int, DType, int64_t>, AttentionKernel> made_;
};

}  // namespace filigree::kernels
