// Layer normalisation over the last dimension (Ba et al., arXiv 1607.06450), of a residual sum too.
#pragma once

#include "core/kernels/dropout.h"
#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y = (sum - mean) * rstd * gamma + beta for every row of E, with sum = x + dropout(branch); an
/// undefined branch is none, then the sum is x and `sum` is not touched. mean and rstd (R) are kept
/// for backward. rstd = 1 / sqrt(var + eps), var the biased variance. Rows are f32, f64 or, on
/// CUDA, bf16; mean, rstd, gamma, beta and the gradients of these two are in the statistics_dtype()
/// of the rows' dtype.
FILIGREE_KERNEL(layer_norm_forward,
                (const Tensor& x, const Tensor& branch, KeyedDropout dropout, const Tensor& gamma,
                 const Tensor& beta, double eps, Tensor& sum, Tensor& y, Tensor& mean,
                 Tensor& rstd),
                (x, branch, dropout, gamma, beta, eps, sum, y, mean, rstd))
/// With n = (sum - mean) rstd and g = dy gamma:
/// dx = rstd (g - mean(g) - n mean(g n)) + dsum; dbranch = dropout(dx); dgamma = sum over rows of
/// dy n; dbeta = sum of dy. An undefined dsum is 0, an undefined dbranch is not wanted.
FILIGREE_KERNEL(layer_norm_backward,
                (const Tensor& sum, const Tensor& gamma, const Tensor& mean, const Tensor& rstd,
                 const Tensor& dy, const Tensor& dsum, KeyedDropout dropout, Tensor& dx,
                 Tensor& dbranch, Tensor& dgamma, Tensor& dbeta),
                (sum, gamma, mean, rstd, dy, dsum, dropout, dx, dbranch, dgamma, dbeta))

}  // namespace filigree::kernels
