// Private to autograd: the check behind DetectNaN.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace filigree {

class Function;

/// Throws NumericError if an output has a NaN or Inf: names the op, the direction, the module path
/// and the statistics of inputs and outputs.
void report_nan(const Function& function, std::string_view direction, const Tensors& inputs,
                const Tensors& outputs);

}  // namespace filigree
