// Sets every element.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// x_i = value, converted to the dtype of x. Any dtype.
FILIGREE_KERNEL(fill, (Tensor & x, double value), (x, value))

}  // namespace filigree::kernels
