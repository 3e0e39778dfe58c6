// Head for one answer a token.
#pragma once

#include "nn/model.h"

namespace filigree {

/// logits = W dropout(h) + b for every token, as BERT's token classification.
class TokenClassifier final : public Model {
 public:
  /// `outputs` C: the classes. Throws ConfigError below 1.
  TokenClassifier(const EncoderConfig& config, int64_t outputs, DType dtype = DType::f32);
  /// Logits (T, C).
  Variable forward(const TokenBatch& batch, const LayerGraphs& graphs,
                   const ForwardContext& context) const override;

 private:
  Linear classifier_;
};

}  // namespace filigree
