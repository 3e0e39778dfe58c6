// Gradient check: analytic gradients against float64 central differences.
#pragma once

#include <functional>
#include <string>

#include "autograd/variable.h"

namespace filigree {

struct GradientCheck {
  double largest_error = 0;  ///< max over entries of |a - n| / max(1, |a|, |n|)
  std::string worst;         ///< "input 1 at 17: analytic .., numeric .."
};

/// Compares backward() of L = sum_k <f(inputs)_k, W_k>, W fixed pseudo-random weights, with central
/// differences of step eps (fourth order: f(x-2h) .. f(x+2h)) for every entry of every f64 input
/// that wants a gradient. f must be deterministic. Cost: 4 evaluations of f an entry.
GradientCheck check_gradient(const std::function<Variables(const Variables&)>& f,
                             const Variables& inputs, double eps = 1e-3);

/// The same for the gradient of the gradient (double backward).
GradientCheck check_double_gradient(const std::function<Variables(const Variables&)>& f,
                                    const Variables& inputs, double eps = 1e-3);

}  // namespace filigree
