// Sequence classification: encoder, pooling, head.
#pragma once

#include "autograd/ops/segment_pool.h"
#include "nn/model.h"

namespace filigree {

/// logits = W dropout(tanh(P pool(h)) ) + b, as BERT's pooler and classifier.
class SequenceClassifier final : public Model {
 public:
  SequenceClassifier(const EncoderConfig& config, int64_t classes, Pool pool,
                     DType dtype = DType::f32);
  /// Logits (B, C).
  Variable forward(const TokenBatch& batch, const LayerGraphs& graphs,
                   const ForwardContext& context) const override;
  int64_t classes() const { return classes_; }
  Pool pool() const { return pool_; }

 private:
  int64_t classes_;
  Pool pool_;
  Linear pooler_, classifier_;
};

}  // namespace filigree
