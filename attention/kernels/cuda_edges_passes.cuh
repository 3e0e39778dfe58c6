// The passes of attention edge by edge, compiled apart. For .cu files alone.
#pragma once

#include "attention/kernels/sparse_attention.h"

namespace filigree::kernels::cuda {

/// attention_forward() and attention_backward() without bias and gate. delta (T, H) = <do, o>.
void edges_forward_pass(const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionArguments& arguments, Tensor& o, Tensor& lse);
void edges_backward_pass(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& lse,
                         const Tensor& delta, const Tensor& grad,
                         const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv);

}  // namespace filigree::kernels::cuda
