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

 private:
  std::mutex mutex_;
  std::optional<TileCounts> counts_;
};

/// The costs of a device's kernels for these heads; nothing where they were not measured.
std::optional<DeviceCosts> device_costs(Device device, const AttentionUse& use);

/// Forecast of one head of group g, forward and backward, by tiles or edges.
double device_nanoseconds(const AttentionGraph& graph, int g, AttentionKernel kernel,
                          const DeviceCosts& costs);

/// Tiles or edges, for all heads and sequences: what is wanted, where edges can do it; if that is
/// automatic, the one of less time, and tiles where nothing was measured. Throws ConfigError where
/// edges are wanted and cannot do it. Cost O(n + edges) of graphs whose tiles nobody has counted.
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
