#include "nn/classifier.h"

#include <fmt/format.h>

#include "autograd/function.h"
#include "autograd/ops/activation.h"
#include "core/error.h"

namespace filigree {

SequenceClassifier::SequenceClassifier(const EncoderConfig& config, int64_t outputs, Pool pool,
                                       DType dtype)
    : Model(config, dtype),
      pool_(pool),
      pooler_(config.width, config.width, dtype),
      classifier_(config.width, outputs, dtype) {
  if (outputs < 1) {
    throw ConfigError("classifier", fmt::format("expected at least 1 output, got {}", outputs));
  }
  add_child("pooler", pooler_);
  add_child("classifier", classifier_);
}

Variable SequenceClassifier::forward(const TokenBatch& batch, const LayerGraphs& graphs,
                                     const ForwardContext& context) const {
  const Variable hidden = encoder().forward(batch, graphs, context);
  Variable pooled;
  {
    const ModuleScope scope("pooler");
    pooled = tanh(pooler_.forward(segment_pool(hidden, batch.offsets, pool_)));
  }
  const ModuleScope scope("classifier");
  return classifier_.forward(apply_dropout(pooled, encoder().config().dropout, context, "head"));
}

}  // namespace filigree
