// Which kernel computes a sequence, by the work that each would do. Private to kernels.
#pragma once

#include <array>

#include "attention/crossover.h"
#include "attention/graph.h"
#include "attention/kernels/sparse_attention.h"

namespace filigree::kernels {

/// What a kernel does for one head, forward and backward; counts as in KernelCosts.
struct KernelWork {
  double pairs = 0, tile_rows = 0, edges = 0, columns = 0, edge_rows = 0;

  KernelWork& operator+=(const KernelWork& other) {
    pairs += other.pairs;
    tile_rows += other.tile_rows;
    edges += other.edges;
    columns += other.columns;
    edge_rows += other.edge_rows;
    return *this;
  }

  double nanoseconds(const KernelCosts& costs) const {
    return costs.pair * pairs + costs.tile_row * tile_rows + costs.edge * edges +
           costs.column * columns + costs.edge_row * edge_rows;
  }
};

/// The kernels that are chosen from; `rows` is a reference and never the fastest.
inline constexpr std::array kChoices{AttentionKernel::tiles, AttentionKernel::edges,
                                     AttentionKernel::mixed};

/// The work of tiles, edges or mixed on a sequence. The columns of the edges kernel are estimated
/// as if extra columns lay anywhere in their span. Cost O(n).
KernelWork work_of(const SequenceGraph& graph, AttentionKernel kernel);
/// The same for all sequences of group g.
KernelWork work_of(const AttentionGraph& graph, int g, AttentionKernel kernel);

/// The kernel of least time; of equals the first in kChoices. Cost O(n).
AttentionKernel choose_kernel(const SequenceGraph& graph, const KernelCosts& costs);

}  // namespace filigree::kernels
