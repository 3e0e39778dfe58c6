// Elementwise exponential and logarithm.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// e^x.
Variable exp(const Variable& x);
/// Natural logarithm of x; -Inf at 0, NaN below.
Variable log(const Variable& x);

}  // namespace filigree
