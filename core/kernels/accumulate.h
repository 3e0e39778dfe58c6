// Accumulation: y += x.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree::kernels {

/// y_i += x_i. Equal shapes and dtypes (f32, f64; on CUDA bf16).
FILIGREE_KERNEL(accumulate, (const Tensor& x, Tensor& y), (x, y))

}  // namespace filigree::kernels
