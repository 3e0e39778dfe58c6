#include "nn/classifier.h"

#include <fmt/format.h>
#include <utility>
#include <vector>

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

namespace {

/// Lets the batch want the first token of every sequence that has one; offsets (B+1) of these.
Tensor want_first_tokens(TokenBatch& batch) {
  const auto offsets = std::as_const(batch.offsets).span<int64_t>();
  std::vector<int32_t> rows;
  std::vector<int64_t> ends{0};
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    if (offsets[b] < offsets[b + 1]) rows.push_back(static_cast<int32_t>(offsets[b]));
    ends.push_back(std::ssize(rows));
  }
  batch.wanted = Tensor::from(rows);
  return Tensor::from(ends);
}

}  // namespace

Variable SequenceClassifier::forward(const TokenBatch& batch, const LayerGraphs& graphs,
                                     const ForwardContext& context) const {
  TokenBatch asked = batch;
  asked.wanted = Tensor();  // the mean needs all
  const Tensor offsets = pool_ == Pool::first ? want_first_tokens(asked) : batch.offsets;
  const Variable hidden = encoder().forward(asked, graphs, context);
  Variable pooled;
  {
    const ModuleScope scope("pooler");
    pooled = tanh(pooler_.forward(segment_pool(hidden, offsets, pool_)));
  }
  const ModuleScope scope("classifier");
  return classifier_.forward(apply_dropout(pooled, encoder().config().dropout, context, "head"));
}

}  // namespace filigree
