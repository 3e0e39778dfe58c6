// Head for one answer a sequence: classes, or with a single output a number.
#pragma once

#include "autograd/ops/segment_pool.h"
#include "nn/model.h"

namespace filigree {

/// logits = W dropout(tanh(P pool(h)) ) + b, as BERT's pooler and classifier. What the batch wants
/// is for the pool to say: the first tokens, or all.
class SequenceClassifier final : public Model {
 public:
  /// `outputs` C: the classes, or 1 for regression. Throws ConfigError below 1.
  SequenceClassifier(const EncoderConfig& config, int64_t outputs, Pool pool,
                     DType dtype = DType::f32);
  /// Logits (B, C).
  Variable forward(const TokenBatch& batch, const LayerGraphs& graphs,
                   const ForwardContext& context) const override;
  /// b (C): the answer to a sequence of which nothing is known.
  Tensor& bias() { return classifier_.bias(); }

 private:
  Pool pool_;
  Linear pooler_, classifier_;
};

}  // namespace filigree
