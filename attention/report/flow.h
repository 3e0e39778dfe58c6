// Where information can flow: components, reach through the layers, mixing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attention/placement.h"

namespace filigree {

/// Weakly connected components of one layer's edges, of all heads together, per sequence.
struct Components {
  std::vector<int64_t> count;    ///< (B)
  std::vector<int64_t> largest;  ///< (B) tokens of the largest one
};
/// Cost O(edges), memory O(T).
Components components_of(const AttentionGraph& graph);

/// Which tokens a token's final state can depend on. Going down from the top, layer by layer, the
/// set of a token grows by all that its members see, in any head; residual connections keep what is
/// there.
struct Reach {
  /// [d][b]: tokens of sequence b in the set after d layers from the top; [0] is 1 each.
  std::vector<std::vector<int64_t>> tokens;
  /// Packed indices of the tokens that never enter their sequence's set, ascending.
  std::vector<int64_t> unreachable;
};
/// Of token `position` of every sequence ([CLS] is 0); sequences that are shorter stay empty.
/// Cost O(layers x edges), memory O(T).
Reach reach_of(const LayerGraphs& graphs, int64_t position = 0);

/// 1 - lambda_2 of the normalised adjacency D^-1/2 A D^-1/2, A the edges of sequence b in one
/// layer, of all heads together, made symmetric, with self-edges; lambda_2 its second largest
/// eigenvalue. 0 for a graph in several components, 1 for the complete one; the larger, the faster
/// a random walk mixes (Chung, Spectral Graph Theory, ch. 1). Lanczos from a fixed start, to about
/// 1e-6. Cost O(edges), and O(runs of neighbouring columns) a step and in memory: O(n) for the
/// complete graph. 1 for a single token, 0 for none.
double spectral_gap(const AttentionGraph& graph, int64_t b);

/// A warning if rows of the batch see no key at all, whose attention gives 0: how many, in all
/// heads and layers. "" if there are none.
std::string empty_rows_warning(const LayerGraphs& graphs, const std::string& pattern);

/// A warning if the first token of a sequence, which is pooled, cannot depend on all others: how
/// many cannot reach it, and what to do. "" if all can. `pattern`: as the user wrote it.
std::string flow_warning(const LayerGraphs& graphs, const std::string& pattern);

}  // namespace filigree
