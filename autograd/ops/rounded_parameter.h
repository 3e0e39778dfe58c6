// A parameter as an op multiplies with it.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace filigree {

/// The parameter in the dtype of x: `given`, where somebody has rounded it, else a cast of it (or
/// itself). Throws ShapeError, DTypeError or DeviceError if `given` is not that.
inline Tensor rounded_parameter(std::string_view op, const Tensor& x, const Tensor& parameter,
                                const Tensor& given) {
  if (!given.defined()) return parameter.to(x.dtype());
  expect_same_kind(op, x, given);
  expect_shape(op, "rounded parameter", parameter.shape(), given.shape());
  return given;
}

}  // namespace filigree
