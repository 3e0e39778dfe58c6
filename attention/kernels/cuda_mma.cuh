// Products of small bf16 matrices on tensor cores (mma.sync, sm_80 and newer), and their operands
// in shared memory. For .cu files alone.
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

/// Elements from a row to the next in shared memory: 8 more than there are, so that the rows of a
/// fragment lie in different banks.
__device__ __host__ constexpr int mma_stride(int width) { return width + 8; }

__device__ inline uint32_t pair_at(const Half* from) {
  return *reinterpret_cast<const uint32_t*>(from);
}

/// The lane's part of A, rows first .., columns column .. of a matrix in shared memory.
__device__ inline FragmentA fragment_a(const Half* from, int stride, int first, int column,
                                       MmaLane lane) {
  const Half* at = from + (first + lane.g) * stride + column + 2 * lane.t;
  return {{pair_at(at), pair_at(at + 8 * stride), pair_at(at + 8), pair_at(at + 8 * stride + 8)}};
}
/// The lane's part of B: column n of B is row first + n of the matrix, its k are columns column ..
__device__ inline FragmentB fragment_b(const Half* from, int stride, int first, int column,
                                       MmaLane lane) {
  const Half* at = from + (first + lane.g) * stride + column + 2 * lane.t;
  return {{pair_at(at), pair_at(at + 8)}};
}

/// Eight neighbours, loaded and stored at once.
struct alignas(16) Eight {
  Half h[8];
};

/// 64 tokens of one head, first .. first + count - 1, to shared memory as rows (64, W + 8) and,
/// where `across` is given, as columns (W, 64 + 8). What is not there is 0. Eight elements at a
/// time where they are aligned: `from` at 16 bytes, and dim and stride multiples of 8.
template <int W, int Threads>
__device__ void load_halves(const Half* from, int64_t stride, int first, int count, int dim,
                            Half* rows, Half* across) {
  constexpr int kRows = 64, kChunks = W / 8;
  const bool aligned =
      dim % 8 == 0 && stride % 8 == 0 && reinterpret_cast<uintptr_t>(from) % sizeof(Eight) == 0;
  for (int e = static_cast<int>(threadIdx.x); e < kRows * kChunks; e += Threads) {
    const int row = e / kChunks, d = e % kChunks * 8;
    const Half* at = from + (first + row) * stride + d;
    Eight values{};
    if (row < count && d < dim) {
      if (aligned) {
        values = *reinterpret_cast<const Eight*>(at);
      } else {
        for (int i = 0; i < 8 && d + i < dim; ++i) values.h[i] = at[i];
      }
    }
    if (rows) *reinterpret_cast<Eight*>(rows + row * mma_stride(W) + d) = values;
    for (int i = 0; across && i < 8; ++i) across[(d + i) * mma_stride(kRows) + row] = values.h[i];
  }
}

/// Whether a lane's results are all finite.
class FiniteProbe {
 public:
  __device__ void look_at(float value) { sum_ = std::fma(value, 0.0F, sum_); }
  /// Says so, if they are not: all that do write the same.
  __device__ void tell(int32_t* not_finite) const {
    if (sum_ != 0.0F) *not_finite = 1;  // NaN
  }

 private:
  float sum_ = 0;
};

}  // namespace filigree::kernels::cuda
