// Masked language modelling: a head whose output table is the encoder's input table.
#pragma once

#include "nn/model.h"
#include "nn/rounded_copy.h"

namespace filigree {

/// z = E LN(f(W h + c)) + b, E the table of the input embeddings (Press and Wolf, arXiv
/// 1608.05859): BERT's cls.predictions, RoBERTa's lm_head. The table is the encoder's and is no
/// parameter here.
class MaskedLmHead final : public Module {
 public:
  MaskedLmHead(const EncoderConfig& config, DType dtype);
  /// Logits (R, V) of hidden states (R, E), in the dtype of the table: the whole matrix, for
  /// predictions on a few tokens.
  Variable logits(const Variable& hidden, const Variable& table) const;
  /// Sum over the tokens with a target of -log softmax(logits)_target: a scalar. targets i32 (R),
  /// -1 for none. The logits are never held whole (chunked_cross_entropy). Computed in the dtype of
  /// the hidden states, softmax and sums in f32 or f64. Throws DataError naming a target outside
  /// [0, V); ShapeError.
  /// `rounded`: the table in that dtype, if it is at hand.
  Variable loss(const Variable& hidden, const Variable& table, const Tensor& targets,
                const Tensor& rounded = {}) const;

 private:
  Variable transform(const Variable& hidden) const;

  Activation activation_;
  Linear transform_;
  LayerNorm norm_;
  Variable bias_;  // (V)
};

/// Encoder and MaskedLmHead. The logits of all tokens would be the largest matrix by far, so that
/// forward() stops before the head, and loss() or logits() take what it gives.
class MaskedLm final : public Model {
 public:
  explicit MaskedLm(const EncoderConfig& config, DType dtype = DType::f32);
  /// Hidden states (R, E) of the tokens that the batch wants, in the dtype that the layers compute
  /// in.
  Variable forward(const TokenBatch& batch, const LayerGraphs& graphs,
                   const ForwardContext& context) const override;
  /// See MaskedLmHead.
  Variable logits(const Variable& hidden) const;
  Variable loss(const Variable& hidden, const Tensor& targets) const;

 private:
  MaskedLmHead head_;
  mutable RoundedCopy table_copy_;  // for hidden states in another dtype
};

}  // namespace filigree
