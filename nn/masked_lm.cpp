#include "nn/masked_lm.h"

#include "autograd/function.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/chunked_cross_entropy.h"
#include "autograd/ops/linear.h"

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

Variable MaskedLmHead::loss(const Variable& hidden, const Variable& table, const Tensor& targets,
                            const Tensor& rounded) const {
  const ModuleScope scope("masked_lm");
  return chunked_cross_entropy(transform(hidden), table, bias_, targets, {}, rounded);
}

MaskedLm::MaskedLm(const EncoderConfig& config, DType dtype)
    : Model(config, dtype), head_(config, dtype), table_copy_(encoder().token_table()) {
  add_rounded(table_copy_);
  add_child("masked_lm", head_);
}

Variable MaskedLm::forward(const TokenBatch& batch, const LayerGraphs& graphs,
                           const ForwardContext& context) const {
  const DType dtype = encoder().compute_dtype();
  if (dtype != encoder().token_table().dtype()) make_rounded(dtype);  // the head's, too
  return encoder().computed(batch, graphs, context);
}

Variable MaskedLm::logits(const Variable& hidden) const {
  return head_.logits(hidden, encoder().token_table());
}

Variable MaskedLm::loss(const Variable& hidden, const Tensor& targets) const {
  const Variable& table = encoder().token_table();
  if (hidden.dtype() == table.dtype()) return head_.loss(hidden, table, targets);
  RoundedCopy* const copies[] = {&table_copy_};
  return head_.loss(hidden, table, targets, RoundedCopy::current(copies, hidden.dtype())[0]);
}

}  // namespace filigree
