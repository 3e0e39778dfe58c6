// Layer normalisation over the last dimension (Ba et al., arXiv 1607.06450).
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y = (x - mean) * rstd * gamma + beta for every row of E; mean and rstd (R) are kept for
/// backward. rstd = 1 / sqrt(var + eps), var the biased variance.
FILIGREE_KERNEL(layer_norm_forward,
                (const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& y,
                 Tensor& mean, Tensor& rstd),
                (x, gamma, beta, eps, y, mean, rstd))
/// With n = (x - mean) rstd and g = dy gamma:
/// dx = rstd (g - mean(g) - n mean(g n)); dgamma = sum over rows of dy n; dbeta = sum of dy.
FILIGREE_KERNEL(layer_norm_backward,
                (const Tensor& x, const Tensor& gamma, const Tensor& mean, const Tensor& rstd,
                 const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta),
                (x, gamma, mean, rstd, dy, dx, dgamma, dbeta))

}  // namespace filigree::kernels
