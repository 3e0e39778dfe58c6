// Which kernels take heads of which size. For .cu files alone.
#pragma once

#include <string>
#include <type_traits>

#include "attention/kernels/cuda_tile.cuh"
#include "core/error.h"

namespace filigree::kernels::cuda {

/// Tensor cores take heads of up to so many elements.
inline constexpr int kWidestMma = 128;

template <class S>
bool tensor_cores_take(const TilePass<S>& pass) {
  return std::is_same_v<S, BFloat16> && pass.dim <= kWidestMma;
}

/// body.template operator()<W>() with W the elements of a head, filled up.
template <class Body>
void with_mma_width(int dim, Body body) {
  if (dim <= 16) return body.template operator()<16>();
  if (dim <= 32) return body.template operator()<32>();
  if (dim <= 64) return body.template operator()<64>();
  return body.template operator()<kWidestMma>();
}

/// body.template operator()<C>() with 16 C >= dim columns a thread. Throws ShapeError.
template <class Body>
void with_columns(std::string_view op, int dim, Body body) {
  if (dim <= 16) return body.template operator()<1>();
  if (dim <= 32) return body.template operator()<2>();
  if (dim <= 64) return body.template operator()<4>();
  if (dim <= 128) return body.template operator()<8>();
  if (dim <= 256) return body.template operator()<16>();
  throw ShapeError(op, "heads of " + std::to_string(dim) + " elements have no CUDA kernel",
                   "heads of up to 256 have one");
}

}  // namespace filigree::kernels::cuda
