// Activation functions.
#pragma once

#include "autograd/variable.h"
#include "core/kernels/activation.h"

namespace filigree {

/// f(x), elementwise: see Activation. Shape of x.
Variable activate(const Variable& x, Activation f);

inline Variable gelu(const Variable& x) { return activate(x, Activation::gelu_erf); }
inline Variable relu(const Variable& x) { return activate(x, Activation::relu); }
inline Variable tanh(const Variable& x) { return activate(x, Activation::tanh); }

}  // namespace filigree
