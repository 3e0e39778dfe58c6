#include "nn/masked_lm.h"

#include <fmt/format.h>
#include <vector>

#include "autograd/function.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/chunked_cross_entropy.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/linear.h"
#include "core/error.h"

namespace filigree {

MaskedLmHead::MaskedLmHead(const EncoderConfig& config, DType dtype)
    : activation_(config.activation),
      transform_(config.width, config.width, dtype),
      norm_(config.width, config.norm_eps, dtype) {
  add_child("transform", transform_);
  add_child("norm", norm_);
  bias_ = add_parameter("bias", {config.vocabulary}, dtype, ParameterKind::offset);
}

Variable MaskedLmHead::transform(const Variable& hidden) const {
  return norm_.forward(activate(transform_.forward(hidden), activation_));
}

Variable MaskedLmHead::logits(const Variable& hidden, const Variable& table) const {
  const ModuleScope scope("masked_lm");
  return linear(transform(in_dtype(hidden, table.dtype())), table, bias_);
}

Variable MaskedLmHead::loss(const Variable& hidden, const Variable& table,
                            const Tensor& targets) const {
  const ModuleScope scope("masked_lm");
  expect_shape("masked_lm", "targets", {hidden.shape()[0]}, targets.shape());
  // Few tokens have a target: the others need no transform either.
  std::vector<int32_t> rows, wanted;
  const auto all = targets.span<int32_t>();
  for (size_t t = 0; t < all.size(); ++t) {
    if (all[t] == -1) continue;
    if (all[t] < 0 || all[t] >= table.shape()[0]) {
      throw DataError("masked_lm", fmt::format("target {} of token {} is outside [0, {})", all[t],
                                               t, table.shape()[0]));
    }
    rows.push_back(static_cast<int32_t>(t));
    wanted.push_back(all[t]);
  }
  const Variable chosen = rows.size() < all.size() ? embedding(hidden, Tensor::from(rows)) : hidden;
  return chunked_cross_entropy(transform(chosen), table, bias_, Tensor::from(wanted));
}

MaskedLm::MaskedLm(const EncoderConfig& config, DType dtype)
    : Model(config, dtype), head_(config, dtype) {
  add_child("masked_lm", head_);
}

Variable MaskedLm::forward(const TokenBatch& batch, const LayerGraphs& graphs,
                           const ForwardContext& context) const {
  return encoder().computed(batch, graphs, context);
}

Variable MaskedLm::logits(const Variable& hidden) const {
  return head_.logits(hidden, encoder().token_table());
}

Variable MaskedLm::loss(const Variable& hidden, const Tensor& targets) const {
  return head_.loss(hidden, encoder().token_table(), targets);
}

}  // namespace filigree
