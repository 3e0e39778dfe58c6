// A batch's graph as lists of edges, by rows and by columns, for devices. Private to kernels.
#pragma once

#include <cstdint>

#include "attention/graph.h"
#include "core/tensor.h"

namespace filigree::kernels {

/// Packed tokens, of every group one behind the other; bounds count over all of them. The pointers
/// lead into `memory`, which went there as one copy. 16 bytes a token and 8 an edge, a group.
struct DeviceEdges {
  Tensor memory;                                                  // (bytes) u8
  const int64_t *row_bounds = nullptr, *column_bounds = nullptr;  // (groups, T+1)
  const int32_t* columns = nullptr;                               // (edges) of every row, ascending
  const int32_t* rows = nullptr;           // (edges) of every column, ascending
  const int32_t* group_of_head = nullptr;  // (H)
  int64_t tokens = 0;
};

/// Cost O(T + edges), on the host.
DeviceEdges make_device_edges(const AttentionGraph& graph, Device device);

}  // namespace filigree::kernels
