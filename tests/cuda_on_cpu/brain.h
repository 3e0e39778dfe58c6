// bfloat16 of the stand-ins for cuBLAS: see cuda_runtime.h beside this file.
#pragma once

#include "cuda_runtime.h"

namespace cuda_on_cpu {

/// Rounded to nearest, ties to even.
struct Brain {
  uint16_t bits;
  explicit Brain(float value) {
    const unsigned all = __float_as_uint(value);
    bits = static_cast<uint16_t>(value != value ? all >> 16 | 0x40U
                                                : (all + 0x7fffU + (all >> 16 & 1U)) >> 16);
  }
  explicit operator double() const { return __uint_as_float(unsigned{bits} << 16); }
};

}  // namespace cuda_on_cpu
