// Products of small bf16 matrices on tensor cores (mma.sync, sm_80 and newer). For .cu files alone.
//
// A warp multiplies A (16 x 16) by B (16 x 8) and adds to C (16 x 8), f32. With g = lane / 4 and
// t = lane % 4 a lane has, two neighbours in a register:
//   a[0] A(g, 2t..), a[1] A(g + 8, 2t..), a[2] A(g, 2t + 8..), a[3] A(g + 8, 2t + 8..)
//   b[0] B(2t.., g), b[1] B(2t + 8.., g)       c[0..1] C(g, 2t..), c[2..3] C(g + 8, 2t..)
// (PTX ISA, "Matrix fragments for mma.m16n8k16"). So C's registers, packed, are A's of a product
// that goes on with it.
#pragma once

#include <cuda_runtime.h>

#include "core/cuda/element.cuh"

namespace filigree::kernels::cuda {

using Half = BFloat16;
/// An operand's registers.
struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};

/// c += a b.
__device__ inline void multiply(float (&c)[4], const FragmentA& a, const FragmentB& b) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
#else
  cuda_on_cpu::multiply_m16n8k16(c, a.r, b.r);
#endif
}

/// Two numbers rounded to bf16, the first in the lower half.
__device__ inline uint32_t pack(float low, float high) {
#ifdef __CUDACC__
  uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(both) : "f"(high), "f"(low));
  return both;
#else
  return to_bfloat16(low).bits | static_cast<uint32_t>(to_bfloat16(high).bits) << 16;
#endif
}

/// Where a lane's elements are: rows g and g + 8, columns 2 t and 2 t + 1.
struct MmaLane {
  int g, t;
  __device__ MmaLane()
      : g(static_cast<int>(threadIdx.x) % 32 / 4), t(static_cast<int>(threadIdx.x) % 4) {}
};

/// Sum, or greatest, over the four lanes that share a row.
__device__ inline float sum_over_row(float value) {
  value += __shfl_xor_sync(~0U, value, 1);
  return value + __shfl_xor_sync(~0U, value, 2);
}
__device__ inline float max_over_row(float value) {
  for (int step = 1; step <= 2; step *= 2) {
    const float other = __shfl_xor_sync(~0U, value, step);
    value = other > value ? other : value;
  }
  return value;
}

/// 16 x 64 f32 numbers as the left side of a product over its 64 columns.
__device__ inline FragmentA as_left(const float (&c)[8][4], int k) {
  return {{pack(c[2 * k][0], c[2 * k][1]), pack(c[2 * k][2], c[2 * k][3]),
           pack(c[2 * k + 1][0], c[2 * k + 1][1]), pack(c[2 * k + 1][2], c[2 * k + 1][3])}};
}

}  // namespace filigree::kernels::cuda
