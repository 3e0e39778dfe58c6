// Elementwise sums, differences, products. Equal shapes: nothing is broadcast silently.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// a + b. Throws ShapeError unless the shapes are equal.
Variable add(const Variable& a, const Variable& b);
/// a - b.
Variable sub(const Variable& a, const Variable& b);
/// a * b, elementwise.
Variable mul(const Variable& a, const Variable& b);
/// x * factor.
Variable scale(const Variable& x, double factor);
/// x * constant, elementwise; no gradient goes to the constant.
Variable mul_constant(const Variable& x, const Tensor& constant);

}  // namespace filigree
