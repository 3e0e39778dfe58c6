// Reductions to one number and back, in an order that does not depend on the threads.
#pragma once

#include <span>

#include "core/kernels/kernel.h"

namespace filigree {

/// Throws unless all tensors are of one dtype and on `device`.
void expect_one_kind(std::string_view op, std::span<const Tensor> tensors, Device device);

}  // namespace filigree

namespace filigree::kernels {

/// y (scalar) = factor * sum of all elements of x.
FILIGREE_KERNEL(sum_all, (const Tensor& x, double factor, Tensor& y), (x, factor, y))
/// y_i = factor * x, a scalar: the gradient of sum_all.
FILIGREE_KERNEL(spread_scalar, (const Tensor& x, double factor, Tensor& y), (x, factor, y))
/// squares (scalar, f64) = sum of x_i^2 of all tensors, accumulated in double. For the global
/// gradient norm.
FILIGREE_KERNEL(sum_squares, (Tensor & squares, std::span<const Tensor> tensors),
                (squares, tensors))

}  // namespace filigree::kernels
