#include "nn/classifier.h"

#include <fmt/format.h>
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

/// The same batch, of which the first token of every sequence is wanted; offsets of these tokens.
struct FirstTokens {
  explicit FirstTokens(const TokenBatch& whole) : batch(whole) {
    const auto of = whole.offsets.span<int64_t>();
    std::vector<int32_t> rows;
    std::vector<int64_t> ends{0};
    for (size_t b = 0; b + 1 < of.size(); ++b) {
      if (of[b] < of[b + 1]) rows.push_back(static_cast<int32_t>(of[b]));
      ends.push_back(std::ssize(rows));
    }
    batch.wanted = Tensor::from(rows);
    offsets = Tensor::from(ends);
  }
  TokenBatch batch;
  Tensor offsets;
};

}  // namespace

Variable SequenceClassifier::pool(const TokenBatch& batch, const LayerGraphs& graphs,
                                  const ForwardContext& context) const {
  if (pool_ != Pool::first) {
    return segment_pool(encoder().forward(batch, graphs, context), batch.offsets, pool_);
  }
  const FirstTokens first(batch);
  return segment_pool(encoder().forward(first.batch, graphs, context), first.offsets, pool_);
}

Variable SequenceClassifier::forward(const TokenBatch& batch, const LayerGraphs& graphs,
                                     const ForwardContext& context) const {
  Variable pooled = pool(batch, graphs, context);
  {
    const ModuleScope scope("pooler");
    pooled = tanh(pooler_.forward(pooled));
  }
  const ModuleScope scope("classifier");
  return classifier_.forward(apply_dropout(pooled, encoder().config().dropout, context, "head"));
}

}  // namespace filigree
