// Products of 64 rows on the tensor cores of sm_80 and newer (mma.sync), from panels in shared
// memory: what cuda_wgmma.cuh does on Hopper. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_panels.cuh"
#include "attention/kernels/cuda_tensor_kinds.cuh"

namespace filigree::kernels::cuda {

/// Four matrices of 8 x 8 from shared memory, by a warp (ldmatrix): lane l says where row l % 8 of
/// matrix l / 8 begins, and gets of each the elements (g, 2t) and (g, 2t + 1), or, `Across`, (2t,
/// g) and (2t + 1, g).
template <bool Across>
__device__ void load_matrices(const Half* row, uint32_t (&r)[4]) {
#ifdef __CUDACC__
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if (Across) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  }
#else
  cuda_on_cpu::load_matrices(row, Across, r);
#endif
}

/// The tensor cores of sm_80 and newer, for heads of up to 128 elements wherever they lie: see
/// WgmmaCores. Products are done when they return.
struct MmaCores {
  using Operand = const Half*;  // panels
  static constexpr bool kAligned = false, kHasPlain = false;
  static constexpr int blocks(Part part, int width, Scores scores) {
    if (scores == Scores::added) return part == Part::forward ? 2 : 1;
    return width <= 32 || (width <= 64 && part == Part::forward) ? 3 : 2;
  }
  template <class Body>
  static void with_width(int dim, Body body) {
    dim <= 32   ? body.template operator()<32>()
    : dim <= 64 ? body.template operator()<64>()
                : body.template operator()<128>();
  }

  __device__ static Operand at(const Half* panels) { return panels; }
  template <class Registers>
  __device__ static void hold(Registers&) {}
  __device__ static void begin() { __syncwarp(); }
  __device__ static void finish() {}

  template <int W>
  __device__ static void rows(Operand a, Operand b, float (&sums)[8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int own = static_cast<int>(threadIdx.x) / 32 * kMmaRows;
#pragma unroll
    for (int k = 0; k < W / 16; ++k) {
      FragmentA left;
      load_matrices<false>(panel_at(a, own + lane % 16, 16 * k + lane / 16 * 8), left.r);
#pragma unroll
      for (int n = 0; n < 4; ++n) {  // 16 rows of b
        const int row = 16 * n + lane / 16 * 8 + lane % 8, column = 16 * k + lane / 8 % 2 * 8;
        uint32_t right[4];
        load_matrices<false>(panel_at(b, row, column), right);
        multiply(sums[2 * n], left, {{right[0], right[1]}});
        multiply(sums[2 * n + 1], left, {{right[2], right[3]}});
      }
    }
  }
  template <int W>
  __device__ static void columns(const FragmentA (&left)[4], Operand right,
                                 float (&sums)[W / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
#pragma unroll
      for (int n = 0; n < W / 16; ++n) {  // 16 columns
        const int row = 16 * k + lane % 16, column = 16 * n + lane / 16 * 8;
        uint32_t both[4];
        load_matrices<true>(panel_at(right, row, column), both);
        multiply(sums[2 * n], left[k], {{both[0], both[1]}});
        multiply(sums[2 * n + 1], left[k], {{both[2], both[3]}});
      }
    }
  }
};

}  // namespace filigree::kernels::cuda
