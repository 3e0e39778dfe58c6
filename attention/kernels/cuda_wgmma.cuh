// Products of 64 rows on the tensor cores of Hopper (wgmma, sm_90a). For .cu files alone.
//
// A warpgroup, four warps, multiplies A (64 x 16) by B (16 x N) and adds to C (64 x N), f32. Warp w
// has rows 16 w .., in the registers of mma.m16n8k16 (cuda_mma.cuh), N / 8 of them side by side; A
// comes from registers or from shared memory, B from shared memory. Products run beside the
// threads: hold() sums and operands in registers, wgmma_begin(), the products, wgmma_run(),
// wgmma_wait(), hold() both again.
#pragma once

#include "attention/kernels/cuda_panels.cuh"
#include "attention/kernels/cuda_tensor_kinds.cuh"

namespace filigree::kernels::cuda {

/// What tells wgmma where an operand is ("matrix descriptor"): its first byte, and the strides in
/// bytes between panels and between groups of eight rows.
struct Operand {
  uint64_t bits;
  /// The operand `bytes` further on.
  __device__ Operand after(int bytes) const { return {bits + static_cast<uint64_t>(bytes >> 4)}; }
};
__device__ inline Operand operand_at(const Half* panels) {
#ifdef __CUDACC__
  const auto address = static_cast<uint64_t>(__cvta_generic_to_shared(panels));
#else
  const auto address =
      static_cast<uint64_t>(reinterpret_cast<const char*>(panels) -
                            static_cast<const char*>(cuda_on_cpu::shared_memory()));
#endif
  constexpr uint64_t kSwizzle128 = 1;
  return {(address & 0x3ffff) >> 4 | uint64_t{kPanelBytes >> 4} << 16 |
          uint64_t{kRowGroupBytes >> 4} << 32 | kSwizzle128 << 62};
}
/// The part of an operand for columns 16 k .. of the panels' rows, or for their rows 16 k ..
__device__ inline Operand columns_of(Operand panels, int k) {
  return panels.after(k / 4 * kPanelBytes + k % 4 * 32);
}
__device__ inline Operand rows_of(Operand panels, int k) {
  return panels.after(k * 2 * kRowGroupBytes);
}

__device__ inline void wgmma_begin() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory");
#endif
}
/// The compiler is not to move what is done with the sums across this.
template <int N>
__device__ void hold([[maybe_unused]] float (&sums)[N][4]) {
#ifdef __CUDACC__
#pragma unroll
  for (int n = 0; n < N; ++n) {
    asm volatile(""
                 : "+f"(sums[n][0]), "+f"(sums[n][1]), "+f"(sums[n][2]),
                   "+f"(sums[n][3])::"memory");
  }
#endif
}
/// The same for operands in registers, which the products read until they have been waited for.
template <int N>
__device__ void hold([[maybe_unused]] FragmentA (&operand)[N]) {
#ifdef __CUDACC__
#pragma unroll
  for (int n = 0; n < N; ++n) {
    asm volatile(""
                 : "+r"(operand[n].r[0]), "+r"(operand[n].r[1]), "+r"(operand[n].r[2]),
                   "+r"(operand[n].r[3])::"memory");
  }
#endif
}
__device__ inline void wgmma_run() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
#endif
}
/// Waits for all products that wgmma_run() set going.
__device__ inline void wgmma_wait() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.wait_group.sync.aligned 0;\n" ::: "memory");
#endif
}

// The operands of one instruction: registers 4 n .. 4 n + 3 of the sums.
#define FILIGREE_SUM(n) "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])
#define FILIGREE_SUMS_8                                                                \
  FILIGREE_SUM(0), FILIGREE_SUM(1), FILIGREE_SUM(2), FILIGREE_SUM(3), FILIGREE_SUM(4), \
      FILIGREE_SUM(5), FILIGREE_SUM(6), FILIGREE_SUM(7)
#define FILIGREE_SUMS_16                                                                 \
  FILIGREE_SUMS_8, FILIGREE_SUM(8), FILIGREE_SUM(9), FILIGREE_SUM(10), FILIGREE_SUM(11), \
      FILIGREE_SUM(12), FILIGREE_SUM(13), FILIGREE_SUM(14), FILIGREE_SUM(15)
#define FILIGREE_NAMES_32                                                                      \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define FILIGREE_NAMES_64                                                                        \
  FILIGREE_NAMES_32                                                                              \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, " \
  "%50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

/// c (64, 64) = or += a (64, 16) times the transpose of the rows of b: a and b as columns_of().
__device__ inline void wgmma_rows(float (&c)[8][4], Operand a, Operand b, bool add) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" FILIGREE_NAMES_32
      "}, %32, %33, p, 1, 1, 0, 0;\n}\n"
      : FILIGREE_SUMS_8
      : "l"(a.bits), "l"(b.bits), "r"(static_cast<int>(add)));
#elif defined(__CUDA_ARCH__)
  __trap();  // wgmma_takes() keeps such code from being run
#elif !defined(__CUDACC__)
  cuda_on_cpu::multiply_warpgroup(c, nullptr, a.bits, b.bits, 8, false, add);
#endif
}
/// c (64, W) += a (64, 16), from registers, times 16 rows of b: b as rows_of().
__device__ inline void wgmma_columns(float (&c)[8][4], const FragmentA& a, Operand b) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" FILIGREE_NAMES_32
      "}, {%32, %33, %34, %35}, %36, p, 1, 1, 1;\n}\n"
      : FILIGREE_SUMS_8
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b.bits));
#elif defined(__CUDA_ARCH__)
  __trap();  // wgmma_takes() keeps such code from being run
#elif !defined(__CUDACC__)
  cuda_on_cpu::multiply_warpgroup(c, a.r, 0, b.bits, 8, true, true);
#endif
}
__device__ inline void wgmma_columns(float (&c)[16][4], const FragmentA& a, Operand b) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" FILIGREE_NAMES_64
      "}, {%64, %65, %66, %67}, %68, p, 1, 1, 1;\n}\n"
      : FILIGREE_SUMS_16
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b.bits));
#elif defined(__CUDA_ARCH__)
  __trap();  // wgmma_takes() keeps such code from being run
#elif !defined(__CUDACC__)
  cuda_on_cpu::multiply_warpgroup(c, a.r, 0, b.bits, 16, true, true);
#endif
}

#undef FILIGREE_SUM
#undef FILIGREE_SUMS_8
#undef FILIGREE_SUMS_16
#undef FILIGREE_NAMES_32
#undef FILIGREE_NAMES_64

/// Hopper's tensor cores, for heads of 40 to 128 elements that lie at multiples of 16 bytes. What a
/// kernel of cuda_tensor asks of them, between begin() and finish(): products of one or two
/// matrices, whose sums and left operands in registers it holds on both sides.
struct WgmmaCores {
  using Operand = cuda::Operand;
  static constexpr bool kAligned = true, kHasPlain = true;
  /// Blocks that share a processor.
  static constexpr int blocks(Part part, int width, Scores scores) {
    if (part == Part::forward) return width == 64 && scores != Scores::added ? 4 : 2;
    if (scores == Scores::added) return 1;
    return width > 64 ? 2 : part == Part::rows ? 4 : 3;
  }
  /// body.template operator()<W>() with W the elements of a head, filled up.
  template <class Body>
  static void with_width(int dim, Body body) {
    dim <= 64 ? body.template operator()<64>() : body.template operator()<128>();
  }

  __device__ static Operand at(const Half* panels) { return operand_at(panels); }
  template <class Registers>
  __device__ static void hold(Registers& registers) {
    cuda::hold(registers);
  }
  __device__ static void begin() { wgmma_begin(); }
  __device__ static void finish() {
    wgmma_run();
    wgmma_wait();
  }
  /// sums (64, 64), 0 before, = a (64, W) times the transpose of b (64, W), panels both.
  template <int W>
  __device__ static void rows(Operand a, Operand b, float (&sums)[8][4]) {
#pragma unroll
    for (int k = 0; k < W / 16; ++k) wgmma_rows(sums, columns_of(a, k), columns_of(b, k), k > 0);
  }
  /// sums (64, W) += left (64, 64), in registers, times right (64, W), panels.
  template <int W>
  __device__ static void columns(const FragmentA (&left)[4], Operand right,
                                 float (&sums)[W / 8][4]) {
#pragma unroll
    for (int k = 0; k < 4; ++k) wgmma_columns(sums, left[k], rows_of(right, k));
  }
};

}  // namespace filigree::kernels::cuda
