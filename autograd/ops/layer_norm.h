// Layer normalisation.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// (x - mean) / sqrt(var + eps) * gamma + beta along the last dimension; x (.., E), gamma, beta
/// (E). Ba et al., arXiv 1607.06450. On CUDA x may be bf16; gamma and beta are of x's dtype or, for
/// bf16, f32, and their gradients are of theirs. Throws ShapeError, DTypeError.
Variable layer_norm(const Variable& x, const Variable& gamma, const Variable& beta,
                    double eps = 1e-12);

}  // namespace filigree
