// Escape hatch: an op from two lambdas.
#pragma once

#include <functional>
#include <string>

#include "autograd/variable.h"

namespace filigree {

/// forward(inputs) -> outputs; backward(inputs, outputs, grad_outputs) -> gradient of every input.
Variables lambda_op(
    std::string name, const std::function<Tensors(const Tensors&)>& forward,
    const std::function<Tensors(const Tensors&, const Tensors&, const Tensors&)>& backward,
    const Variables& inputs);

}  // namespace filigree
