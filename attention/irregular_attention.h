// Attention in which every token draws its own reach, differentiable in the logits of the draws.
#pragma once

#include <memory>

#include "attention/degrees/reaches.h"
#include "attention/reach_graph.h"
#include "attention/sparse_attention.h"

namespace filigree {

namespace kernels {
struct DrawnGraph;
}

/// What attention to one batch makes on a device from its offsets, reaches and tokens that are
/// always on; the first layer makes it, the others find it.
struct SharedDrawnTiles {
  std::shared_ptr<const kernels::DrawnGraph> tiles;
};

/// Degrees as an ensemble: token i of head h draws the reach r_k with probability
/// softmax(logits_h)_k (see ReachDraws) and sees the tokens at most so far away, and what is always
/// on.
struct IrregularDegrees {
  Variable logits;  ///< (H, K), where qkv is
  Reaches reaches;  ///< K of them
  double tau = 1;   ///< temperature of the gradient
  /// Pairs up to so many tokens beyond a token's own reach take part in the backward pass; without
  /// them a reach could not grow. R and above: all, the exact slopes.
  int64_t grad_margin = 0;
  std::shared_ptr<const AlwaysOn> always = nullptr;  ///< see AttentionGate
  /// Of layers with the same batch, reaches and `always`, called one after the other; null: of
  /// none.
  std::shared_ptr<SharedDrawnTiles> shared = nullptr;
};

/// The reaches (H, T) i32 that the tokens draw; keyed by (options.seed, step, layer), the head and
/// the packed token; logits on the CPU. Throws ShapeError, NumericError, ConfigError. Cost O(T H
/// K).
Tensor draw_reaches(const IrregularDegrees& degrees, int64_t tokens,
                    const AttentionOptions& options);

/// Attention on the graph that is drawn; qkv (T, 3 H D), result (T, H D). The gradients of qkv and
/// bias are those on that graph; the logits get the straight-through gradient: with
/// e_ij = u_ij (dP_ij - Delta_i) of open and closed pairs (see gated_attention()), C_ik = the sum
/// of e_ij over the gated pairs with |j-i| <= r_k, and z_i the soft draw,
///   dL/dlogits_k = sum_i z_ik (C_ik - sum_k' z_ik' C_ik') / tau.
/// A pair within the margin that is not drawn takes part in C alone, but NaN there reaches the
/// gradients of its row, too. Deterministic on any number of threads. Forward costs what the drawn
/// graph costs; backward that of the graph with the margin, and O(T H K); the soft draws are made
/// again, not kept. Memory: the reaches, 4 bytes a token and head, and in the backward pass of a
/// sequence of n tokens, for each thread, n (2 m + 1) numbers, m the smaller of n - 1 and the
/// largest reach drawn plus the margin.
/// On a device (kernels automatic and tiles, heads of up to 256 elements) the logits are there,
/// too, in f32 or f64, qkv in any dtype; a token whose logits are NaN or +Inf draws the largest
/// reach, and NaN in a pair that is not drawn reaches C alone. Memory: the reaches, 8 bytes a tile
/// that the largest reach allows, H K numbers for 64 tokens, and where K reaches have no room in
/// shared memory 64 times as many. Throws ShapeError, DTypeError, DeviceError, ConfigError, on the
/// CPU NumericError for logits that are not finite.
Variable irregular_attention_qkv(const Variable& qkv, const Tensor& offsets,
                                 const IrregularDegrees& degrees,
                                 const AttentionOptions& options = {}, const Variable& bias = {});

}  // namespace filigree
