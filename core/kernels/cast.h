// Conversion to another dtype.
#pragma once

#include <span>

#include "core/kernels/kernel.h"

namespace filigree {

struct CastPair {
  Tensor from, to;
};

}  // namespace filigree

namespace filigree::kernels {

/// y_i = x_i as an element of y's dtype: floating types round, what an integer type cannot hold
/// goes to its nearest end, NaN to 0. Any two dtypes, equal shapes.
FILIGREE_KERNEL(cast, (const Tensor& x, Tensor& y), (x, y))
/// The same for many pairs on the device of `where`, all from one floating dtype to one other. On
/// CUDA 90 a launch.
FILIGREE_KERNEL(cast_many, (const Tensor& where, std::span<const CastPair> pairs), (where, pairs))

}  // namespace filigree::kernels
