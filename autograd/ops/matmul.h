// Matrix product.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// op(a) op(b), op transposing where asked. Rank 2, or rank 3 with equal first sizes: a product for
/// each. a (.., M, K), b (.., K, N) after op; result (.., M, N). Throws ShapeError. Cost 2 M N K.
Variable matmul(const Variable& a, const Variable& b, bool transpose_a = false,
                bool transpose_b = false);

}  // namespace filigree
