// A residual sum and its layer normalisation, in one.
#pragma once

#include "autograd/variable.h"
#include "core/kernels/dropout.h"

namespace filigree {

/// {sum, normed}: sum = x + dropout(branch), normed = layer_norm(sum, gamma, beta, eps). x, branch
/// (.., E), gamma, beta (E). Equals add(), dropout() with the same probability and key, and
/// layer_norm(), whose dtypes it takes, but reads and writes each matrix once. Throws ShapeError,
/// DTypeError; ConfigError for a probability outside [0, 1).
Variables residual_norm(const Variable& x, const Variable& branch, const Variable& gamma,
                        const Variable& beta, double eps = 1e-12, KeyedDropout dropout = {});

}  // namespace filigree
