// Which kernel computes what, and why: for `--explain`.
#pragma once

#include <string>
#include <vector>

#include "attention/placement.h"
#include "attention/sparse_attention.h"

namespace filigree {

/// What heads of some layers that share a graph are computed by, in the sequences of a batch for
/// which the same kernel is the fastest.
struct KernelChoice {
  std::vector<int> layers, heads;
  AttentionKernel kernel = AttentionKernel::rows;  ///< never automatic
  int64_t sequences = 0;                           ///< that it computes; edges, tiles .. are theirs
  int64_t edges = 0;                               ///< of one head
  int64_t tiles = 0;      ///< of 6 queries and 16 keys that tiles or mixed compute for one head
  double density = 0;     ///< edges / valid pairs
  int64_t bytes = 0;      ///< graph and schedule, once for all these heads
  double milliseconds[3]  ///< forecast for one head on one thread: tiles, edges, mixed
      = {0, 0, 0};
  std::string why;
};

/// The choices for a batch on the CPU, in order of layers and heads, as sparse_attention() makes
/// them for heads of `dim` elements. Makes the schedules that it will use. Cost O(T + edges).
std::vector<KernelChoice> explain(const LayerGraphs& graphs, DType dtype, int64_t dim,
                                  AttentionKernel wanted = AttentionKernel::automatic);
/// A table of them, a line each.
std::string to_text(const std::vector<KernelChoice>& choices);

}  // namespace filigree
