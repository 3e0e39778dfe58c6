#include "nn/token_classifier.h"

#include <fmt/format.h>

#include "autograd/function.h"
#include "core/error.h"

namespace filigree {

TokenClassifier::TokenClassifier(const EncoderConfig& config, int64_t outputs, DType dtype)
    : Model(config, dtype), classifier_(config.width, outputs, dtype) {
  if (outputs < 1) {
    throw ConfigError("classifier", fmt::format("expected at least 1 output, got {}", outputs));
  }
  add_child("classifier", classifier_);
}

Variable TokenClassifier::forward(const TokenBatch& batch, const LayerGraphs& graphs,
                                  const ForwardContext& context) const {
  const Variable hidden = encoder().forward(batch, graphs, context);
  const ModuleScope scope("classifier");
  return classifier_.forward(apply_dropout(hidden, encoder().config().dropout, context, "head"));
}

}  // namespace filigree
