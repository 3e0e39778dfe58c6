// Elementwise arithmetic and bias. f32, f64; shapes are checked by the ops that call these.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y = a + b.
FILIGREE_KERNEL(add, (const Tensor& a, const Tensor& b, Tensor& y), (a, b, y))
/// y = a - b.
FILIGREE_KERNEL(subtract, (const Tensor& a, const Tensor& b, Tensor& y), (a, b, y))
/// y = a * b.
FILIGREE_KERNEL(multiply, (const Tensor& a, const Tensor& b, Tensor& y), (a, b, y))
/// y = x * factor.
FILIGREE_KERNEL(scale, (const Tensor& x, double factor, Tensor& y), (x, factor, y))
/// y (R, E) = x (R, E) + bias (E) in every row.
FILIGREE_KERNEL(add_bias, (const Tensor& x, const Tensor& bias, Tensor& y), (x, bias, y))
/// sums (E) = column sums of x (R, E), in an order that does not depend on the threads; on CUDA in
/// x's dtype or its statistics_dtype.
FILIGREE_KERNEL(sum_rows, (const Tensor& x, Tensor& sums), (x, sums))
/// y = e^x.
FILIGREE_KERNEL(exponential, (const Tensor& x, Tensor& y), (x, y))
/// y = ln x.
FILIGREE_KERNEL(logarithm, (const Tensor& x, Tensor& y), (x, y))
/// y = a / b.
FILIGREE_KERNEL(divide, (const Tensor& a, const Tensor& b, Tensor& y), (a, b, y))

}  // namespace filigree::kernels
