// The small layers: linear, embedding, layer norm, dropout.
#pragma once

#include <string>

#include "core/kernels/dropout.h"
#include "nn/module.h"
#include "nn/rounded_copy.h"

namespace filigree {

/// A parameter in the dtype that is computed in: itself, or a cast of the master copy, whose
/// gradient comes back in the parameter's dtype. Undefined stays undefined.
Variable in_dtype(const Variable& parameter, DType dtype);

/// x W^T + b: x (T, I) to (T, O). weight (O, I), bias (O). Computed in the dtype of x, which is
/// theirs or, with parameters of f32, bf16 (on CUDA).
class Linear final : public Module {
 public:
  Linear(int64_t inputs, int64_t outputs, DType dtype);
  Variable forward(const Variable& x) const;
  Tensor& bias() { return bias_.value(); }

 private:
  Variable weight_, bias_;
  mutable RoundedCopy weight_copy_{weight_}, bias_copy_{bias_};  // for x of bf16
};

/// Rows of a table: ids (T) i32 to (T, E). weight (V, E).
class Embedding final : public Module {
 public:
  Embedding(int64_t count, int64_t width, DType dtype);
  Variable forward(const Tensor& ids) const;
  const Variable& weight() const { return weight_; }

 private:
  Variable weight_;
};

/// Layer normalisation over the last dimension; weight starts at 1, bias at 0.
class LayerNorm final : public Module {
 public:
  LayerNorm(int64_t width, double eps, DType dtype);
  Variable forward(const Variable& x) const;
  /// {sum, normed}: sum = x + dropout(branch), and the norm of that. See residual_norm.
  Variables forward(const Variable& x, const Variable& branch, KeyedDropout dropout) const;

 private:
  Variable weight_, bias_;
  double eps_;
};

/// Dropout with probability p in training, none otherwise. The mask is keyed by (seed, step, module
/// path, site).
KeyedDropout dropout_at(double p, const ForwardContext& context, std::string_view site);
/// The same, applied to x.
Variable apply_dropout(const Variable& x, double p, const ForwardContext& context,
                       std::string_view site);

}  // namespace filigree
