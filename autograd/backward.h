// Reverse-mode differentiation.
#pragma once

#include "autograd/variable.h"

namespace filigree {

struct BackwardOptions {
  bool keep_graph = false;    ///< keep saved tensors, so that backward() can run again
  bool create_graph = false;  ///< make the gradients differentiable (implies keep_graph)
};

/// Adds d root / d leaf to the grad() of every leaf that wants one. `root` must be a scalar unless
/// `seed`, the gradient of root, is given. Walks the functions by decreasing number: no recursion,
/// so that depth is bounded by memory alone; every gradient is summed in a fixed order and released
/// as soon as it is consumed. Throws GradientError (no history; released graph; missing gradient,
/// naming the op), ShapeError.
void backward(const Variable& root, Tensor seed = {}, BackwardOptions options = {});

/// backward() from several roots at once; a root whose seed is undefined is left out.
/// Throws ShapeError if their counts differ.
void backward_all(const Variables& roots, const Tensors& seeds);

/// d root / d inputs, without touching any grad(). With create_graph the results have history. An
/// input that root does not depend on gets an undefined Variable. Hooks run as in backward().
Variables gradients(const Variable& root, const Variables& inputs, const Variable& seed = {},
                    BackwardOptions options = {});

}  // namespace filigree
