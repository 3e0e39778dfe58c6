// Affine maps of rows: matrix products with their bias in one.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y = x W^T + b. x (T, I), weight (O, I), bias (O), y (T, O). Cost 2 T I O.
FILIGREE_KERNEL(linear_forward,
                (const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y),
                (x, weight, bias, y))
/// dweight = dy^T x (O, I), dbias (O) = sum of dy over rows. dy (T, O), x (T, I). On CUDA dweight
/// and dbias may be f32 where x and dy are bf16: the sums as they are, not rounded.
FILIGREE_KERNEL(linear_weight_backward,
                (const Tensor& x, const Tensor& dy, Tensor& dweight, Tensor& dbias),
                (x, dy, dweight, dbias))

}  // namespace filigree::kernels
