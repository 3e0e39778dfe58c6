// Conversion to another dtype.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y_i = x_i as an element of y's dtype: floating types round, what an integer type cannot hold
/// goes to its nearest end, NaN to 0. Any two dtypes, equal shapes.
FILIGREE_KERNEL(cast, (const Tensor& x, Tensor& y), (x, y))

}  // namespace filigree::kernels
