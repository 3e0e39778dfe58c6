// Reductions to one number, in an order that does not depend on the threads.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y (scalar) = factor * sum of all elements of x.
FILIGREE_KERNEL(sum_all, (const Tensor& x, double factor, Tensor& y), (x, factor, y))
/// squares (scalar, f64) += sum of x_i^2, accumulated in double. For the global gradient norm.
FILIGREE_KERNEL(add_squares, (const Tensor& x, Tensor& squares), (x, squares))

}  // namespace filigree::kernels
