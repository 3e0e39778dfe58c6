// Affine map.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// linear()'s parameters in the dtype of x; undefined: not at hand.
struct RoundedLinear {
  Tensor weight, bias;
};

/// x W^T + b. x (T, I), weight (O, I), bias (O) or undefined; result (T, O). Equals
/// add_bias(matmul(x, W, false, true), b). On CUDA x may be bf16; weight and bias are of x's dtype
/// or, for bf16, f32: then they are rounded to multiply with, and their gradients, sums in f32, are
/// not rounded. Whoever has the rounded ones gives them as `rounded`. Throws ShapeError,
/// DTypeError. Cost 2 T I O.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias = {},
                const RoundedLinear& rounded = {});

/// x + bias in every row. x (.., E), bias (E).
Variable add_bias(const Variable& x, const Variable& bias);

}  // namespace filigree
