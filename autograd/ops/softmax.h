// Softmax family over the last dimension.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// e^{x_j} / sum_k e^{x_k} along the last dimension.
Variable softmax(const Variable& x);
/// log softmax(x), computed stably.
Variable log_softmax(const Variable& x);
/// Softmax over the entries where mask (u8, shape of x) is not 0; 0 at the others, and all 0 in a
/// row without any. Values at masked entries, NaN and Inf included, do not reach result or
/// gradient.
Variable masked_softmax(const Variable& x, const Tensor& mask);

}  // namespace filigree
