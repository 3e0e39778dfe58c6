// Exchange of two dimensions, by copy.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y = x with dimensions a < b exchanged. y has the exchanged shape.
FILIGREE_KERNEL(swap_axes, (const Tensor& x, int a, int b, Tensor& y), (x, a, b, y))

}  // namespace filigree::kernels
