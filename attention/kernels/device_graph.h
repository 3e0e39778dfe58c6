// The graphs of a batch on a device, as tiles and as lists of edges. Private to kernels.
#pragma once

#include "attention/kernels/device_batch.h"
#include "attention/kernels/graph_edges.h"
#include "attention/kernels/graph_tiles.h"

namespace filigree::kernels {

/// The tiles of one sequence in a device's memory; tokens and blocks of 64 count from its first.
struct DeviceTiles {
  const int32_t *lo = nullptr, *hi = nullptr;                     // (n): keys of a query's interval
  const int64_t *row_bounds = nullptr, *column_bounds = nullptr;  // as in SequenceTiles
  const SequenceTiles::Entry *rows = nullptr, *columns = nullptr;
  const uint64_t* masks = nullptr;
};

/// Tokens that a block of threads takes edge by edge, each a warp.
inline constexpr int64_t kEdgeTokens = 4;

/// The edges of one sequence in a device's memory, as in SequenceEdges.
struct DeviceEdges {
  const int64_t *row_bounds = nullptr, *column_bounds = nullptr;
  const int32_t *columns = nullptr, *rows = nullptr;
};

/// What the tiles of a graph take on a device.
inline int64_t tiles_bytes(const SequenceGraph& graph, int64_t bytes_of_tiles) {
  return bytes_of_tiles + 2 * graph.length() * static_cast<int64_t>(sizeof(int32_t));
}

using DeviceTileBatch = DeviceBatch<DeviceTiles>;
using DeviceEdgeBatch = DeviceBatch<DeviceEdges>;

/// See make_device_batch().
DeviceTileBatch make_device_tiles(const AttentionGraph& graph, Device device);
DeviceEdgeBatch make_device_edges(const AttentionGraph& graph, Device device);

}  // namespace filigree::kernels
