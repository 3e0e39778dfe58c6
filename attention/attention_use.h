// What is asked of attention's kernels, and which of them may be asked for.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace filigree {

/// Which kernel computes a sequence in the heads that share its graph. All take any graph, and
/// agree up to the order of summation. On CUDA there are tiles and, without bias and gate, edges,
/// for all sequences and heads of a batch; automatic is tiles there while the device's costs are
/// not measured.
///   rows   one query at a time over its columns in ascending order: a simple reference. The same
///          graph gives the same bits whether its columns are intervals, globals or extra ones.
///   tiles  the rows' intervals by products of small matrices; where there are further columns, the
///          rows from their first to their last column, with what is no edge masked.
///   edges  all edges, column by column of 64 queries.
///   mixed  intervals by tiles, the further columns by edges.
///   automatic  the fastest by the measured costs (docs/attention, "Which kernel").
enum class AttentionKernel : uint8_t { automatic, rows, tiles, edges, mixed };

/// What heads a choice of kernel is for.
struct AttentionUse {
  DType dtype = DType::f32;
  int64_t dim = 0;    ///< of a head
  bool adds = false;  ///< a bias or a gate
  AttentionKernel kernel = AttentionKernel::automatic;
  /// The largest reach that tokens draw (irregular_attention_qkv(), which takes nothing but lengths
  /// from the batch's graph); below 0 where they draw none.
  int64_t drawn_reach = -1;

  bool draws() const { return drawn_reach >= 0; }
};

}  // namespace filigree
