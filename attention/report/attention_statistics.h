// Looking at attention weights with the memory of one row: never an n x n matrix.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "attention/graph.h"
#include "core/tensor.h"

namespace filigree {

/// One layer's attention as a forward pass computed it.
struct AttentionInputs {
  Tensor qkv;                                   ///< (T, 3 H D) = [q | k | v], f32 or f64
  std::shared_ptr<const AttentionGraph> graph;  ///< H heads over T tokens
  Tensor bias;                                  ///< (H, 2R+1) or undefined
  double scale = 0;                             ///< 0: 1 / sqrt(D)
};

/// The weights of one row: a_ij of query i for its keys, ascending, in double; nothing for a row
/// without edges.
struct AttentionRow {
  int head;
  int64_t sequence, query;
  std::span<const int32_t> keys;
  std::span<const double> weights;
};
/// Calls `body` for every row of every head, heads first, in order. Weights are those before
/// dropout. Throws ShapeError, DTypeError. Cost O(D x edges), memory O(longest sequence).
void for_attention_rows(const AttentionInputs& inputs,
                        const std::function<void(const AttentionRow&)>& body);

/// What the weights of one head are like, over all its rows that have edges.
struct HeadStatistics {
  int64_t rows = 0;
  double entropy = 0;   ///< mean of - sum_j a_ij ln a_ij, in nats
  double evenness = 0;  ///< mean of entropy / ln(edges of the row); 1: spread evenly; rows of one
                        ///< edge are left out
  double distance = 0;  ///< mean of sum_j a_ij |j - i|
  /// Mean weight at each offset j - i = -reach .. reach; what lies beyond is in before and after.
  std::vector<double> offset;
  double before = 0, after = 0;
  /// For every candidate graph the mean weight of its edges: the share of the attention mass that
  /// it would keep. (Of edges that this graph has.)
  std::vector<double> kept;
};

/// Statistics of every head. The candidates are graphs over the same tokens and heads. On any
/// number of threads the same bits. Cost and memory as for_attention_rows(), a thread.
std::vector<HeadStatistics> attention_statistics(
    const AttentionInputs& inputs, int64_t reach,
    const std::vector<std::shared_ptr<const AttentionGraph>>& candidates = {});

}  // namespace filigree
