#include "nn/layers.h"

#include "autograd/function.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/layer_norm.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/residual_norm.h"
#include "autograd/ops/shape.h"
#include "core/random.h"

namespace filigree {

Variable in_dtype(const Variable& parameter, DType dtype) {
  return parameter.defined() && parameter.dtype() != dtype ? cast(parameter, dtype) : parameter;
}

Linear::Linear(int64_t inputs, int64_t outputs, DType dtype)
    : weight_(add_parameter("weight", {outputs, inputs}, dtype, ParameterKind::weight)),
      bias_(add_parameter("bias", {outputs}, dtype, ParameterKind::offset)) {
  add_rounded(weight_copy_);
  add_rounded(bias_copy_);
}
Variable Linear::forward(const Variable& x) const {
  if (x.dtype() == weight_.dtype()) return linear(x, weight_, bias_);
  RoundedCopy* const copies[] = {&weight_copy_, &bias_copy_};
  const Tensors rounded = RoundedCopy::current(copies, x.dtype());
  return linear(x, weight_, bias_, {rounded[0], rounded[1]});
}

Embedding::Embedding(int64_t count, int64_t width, DType dtype)
    : weight_(add_parameter("weight", {count, width}, dtype, ParameterKind::weight)) {}
Variable Embedding::forward(const Tensor& ids) const { return embedding(weight_, ids); }

LayerNorm::LayerNorm(int64_t width, double eps, DType dtype)
    : weight_(add_parameter("weight", {width}, dtype, ParameterKind::offset)),
      bias_(add_parameter("bias", {width}, dtype, ParameterKind::offset)),
      eps_(eps) {
  weight_.value().fill(1);
}
Variable LayerNorm::forward(const Variable& x) const { return layer_norm(x, weight_, bias_, eps_); }

Variables LayerNorm::forward(const Variable& x, const Variable& branch,
                             KeyedDropout dropout) const {
  return residual_norm(x, branch, weight_, bias_, eps_, dropout);
}

KeyedDropout dropout_at(double p, const ForwardContext& context, std::string_view site) {
  if (!context.training || p == 0) return {};
  const std::string name = module_path() + "." + std::string(site);
  return {p, mix_key({context.seed, static_cast<uint64_t>(Purpose::dropout), context.step,
                      hash_name(name)})};
}
Variable apply_dropout(const Variable& x, double p, const ForwardContext& context,
                       std::string_view site) {
  const KeyedDropout here = dropout_at(p, context, site);
  return dropout(x, here.p, here.key);
}

}  // namespace filigree
