// Layer normalisation.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// (x - mean) / sqrt(var + eps) * gamma + beta along the last dimension; x (.., E), gamma, beta
/// (E). Ba et al., arXiv 1607.06450. Throws ShapeError.
Variable layer_norm(const Variable& x, const Variable& gamma, const Variable& beta,
                    double eps = 1e-12);

}  // namespace filigree
