// Sequence classification: encoder, pooling, head.
#pragma once

#include "autograd/ops/segment_pool.h"
#include "nn/encoder.h"

namespace filigree {

/// logits = W dropout(tanh(P pool(h)) ) + b, as BERT's pooler and classifier.
class SequenceClassifier final : public Module {
 public:
  SequenceClassifier(const EncoderConfig& config, int64_t classes, Pool pool,
                     DType dtype = DType::f32);
  /// Logits (B, C).
  Variable forward(const TokenBatch& batch, const LayerGraphs& graphs,
                   const ForwardContext& context) const;
  Encoder& encoder() { return encoder_; }
  const Encoder& encoder() const { return encoder_; }
  int64_t classes() const { return classes_; }
  Pool pool() const { return pool_; }

 private:
  int64_t classes_;
  Pool pool_;
  Encoder encoder_;
  Linear pooler_, classifier_;
};

}  // namespace filigree
