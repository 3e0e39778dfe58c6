// Elements as they are stored and as they are computed with. For .cu files alone.
#pragma once

#include <cuda_runtime.h>
#include <string_view>

#include "core/convert.h"

namespace filigree::cuda {

/// What elements of S are computed in: float for bf16, else S itself.
template <class S>
struct ComputeOf {
  using type = S;
};
template <>
struct ComputeOf<BFloat16> {
  using type = float;
};
template <class S>
using Compute = typename ComputeOf<S>::type;

template <class S>
__device__ Compute<S> load(const S& x) {
  return convert<Compute<S>>(x);
}

/// Calls `body.template operator()<S>()` with S = float, double or BFloat16; any other dtype is a
/// DTypeError.
template <class Body>
void dispatch_stored(std::string_view where, DType dtype, Body&& body) {
  if (dtype == DType::bf16) return body.template operator()<BFloat16>();
  return dispatch_float(where, dtype, body);
}

}  // namespace filigree::cuda
