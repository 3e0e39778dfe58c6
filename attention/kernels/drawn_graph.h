// The tiles of a batch whose tokens draw their reaches, on a device. Private to kernels.
#pragma once

#include "attention/kernels/device_graph.h"

namespace filigree {
struct AlwaysOn;
}

namespace filigree::kernels {

/// The pointers of `sequences` lead into `own`.
struct DrawnGraph : DeviceTileBatch {
  Tensor own;                                // (bytes) u8
  const uint8_t* always = nullptr;           // (T): whether a token is always on
  const uint64_t* always_columns = nullptr;  // (NB): the same, bit c for token c of the block
};

/// Tiles for tokens that draw reaches of up to `reach`: all that may hold an edge, drawn tiles
/// every one, the same for all heads. offsets (B+1) as of a graph. Cost O(T + tiles).
DrawnGraph make_drawn_graph(const Tensor& offsets, int64_t heads, int64_t reach,
                            const AlwaysOn* always, Device device);

/// What the tiles of one sequence take of that, of as many rows and tiles.
inline int64_t drawn_bytes(const TileCounts& tiles) {
  return static_cast<int64_t>(sizeof(int64_t)) * (tiles.rows + 1) +
         static_cast<int64_t>(sizeof(SequenceTiles::Entry)) * tiles.tiles();
}

}  // namespace filigree::kernels
