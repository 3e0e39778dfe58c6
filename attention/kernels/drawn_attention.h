// Attention in which every token draws its reach: raw kernels, forward and backward (algorithms:
// docs/degrees).
#pragma once

#include <memory>
#include <vector>

#include "attention/degrees/reaches.h"
#include "attention/kernels/sparse_attention.h"
#include "attention/pattern.h"

namespace filigree {
struct SharedDrawnTiles;
}

namespace filigree::kernels {

struct DrawnGraph;

/// Who draws what (attention/degrees/draws.h). Token i of head h sees the tokens at most its draw
/// away, and what is always on.
struct DrawnReaches {
  Tensor offsets;              ///< (B+1) i64, on the CPU
  Tensor logits;               ///< (H, K), where the kernels compute
  std::vector<GraphKey> keys;  ///< (H)
  Reaches reaches;             ///< K of them
  double tau = 1;
  int64_t margin = 0;  ///< pairs so far beyond a draw give slopes, too
  std::shared_ptr<const AlwaysOn> always = nullptr;
  std::shared_ptr<SharedDrawnTiles> shared = nullptr;  ///< on a device; may be null

  int64_t heads() const { return static_cast<int64_t>(keys.size()); }
};

/// What the forward pass leaves to the backward pass.
struct DrawnState {
  Tensor own;       ///< (H, T) i32: the reaches drawn
  Tensor furthest;  ///< (H, NB) i32, on a device: the largest of a block of 64 tokens
  std::shared_ptr<const DrawnGraph> tiles;  ///< on a device
};

/// The reaches (H, T) i32 of logits on the CPU. Throws NumericError unless these are finite. Cost
/// O(T H K).
Tensor draw_all(const DrawnReaches& drawn, int64_t tokens);

/// o (T, H D) and lse (T, H) of attention on the graph that is drawn; fills `state`. qkv (T, 3 H
/// D), all that the arguments have but a graph.
FILIGREE_KERNEL(drawn_attention_forward,
                (const Tensor& qkv, const Tensor& bias, const DrawnReaches& drawn,
                 const AttentionArguments& arguments, DrawnState& state, Tensor& o, Tensor& lse),
                (qkv, bias, drawn, arguments, state, o, lse))
/// Gradients of qkv, of the bias (H, 2R+1) if there is one, and of the logits (H, K): see
/// irregular_attention_qkv(). Everything is overwritten.
FILIGREE_KERNEL(drawn_attention_backward,
                (const Tensor& qkv, const Tensor& bias, const Tensor& o, const Tensor& lse,
                 const Tensor& grad, const DrawnReaches& drawn, const AttentionArguments& arguments,
                 const DrawnState& state, Tensor& dqkv, Tensor& dbias, Tensor& dlogits),
                (qkv, bias, o, lse, grad, drawn, arguments, state, dqkv, dbias, dlogits))

}  // namespace filigree::kernels
