// Activations: GELU (erf and tanh form), ReLU, tanh.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree {

/// gelu_erf x = x Phi(x); gelu_tanh x = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), its usual
/// approximation (Hendrycks and Gimpel, arXiv 1606.08415).
enum class Activation : uint8_t { gelu_erf, gelu_tanh, relu, tanh };

}  // namespace filigree

namespace filigree::kernels {

/// y = f(x).
FILIGREE_KERNEL(activation_forward, (const Tensor& x, Activation f, Tensor& y), (x, f, y))
/// dx = dy f'(x).
FILIGREE_KERNEL(activation_backward, (const Tensor& x, const Tensor& dy, Activation f, Tensor& dx),
                (x, dy, f, dx))

}  // namespace filigree::kernels
