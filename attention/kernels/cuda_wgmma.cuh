// Products of 64 rows on the tensor cores of Hopper (wgmma, sm_90a), and operands in shared memory
// as they read them. For .cu files alone.
//
// A warpgroup, four warps, multiplies A (64 x 16) by B (16 x N) and adds to C (64 x N), f32. Warp w
// has rows 16 w .., in the registers of mma.m16n8k16 (cuda_mma.cuh), N / 8 of them side by side; A
// comes from registers or from shared memory, B from shared memory. Products run beside the
// threads: hold() sums and operands in registers, wgmma_begin(), the products, wgmma_run(),
// wgmma_wait(), hold() both again.
//
// In shared memory 64 tokens of one head are panels of 64 columns, a panel 64 rows of 128 bytes.
// The eight chunks of 16 bytes of row r stand in the order c ^ (r % 8), so that neither rows nor
// columns of chunks meet in a bank (PTX ISA, "128-byte swizzle"; a panel begins at a multiple of
// 1,024 bytes). The same panel is read in both directions: its rows as B's columns, for the product
// with a transpose, and its columns as B's columns.
#pragma once

#include "attention/kernels/cuda_mma.cuh"

namespace filigree::kernels::cuda {

inline constexpr int kWarpgroup = 128;  // threads
inline constexpr int kPanel = 64, kPanelElements = 64 * kPanel;
inline constexpr int kRowGroupBytes = 1024;  // eight rows of a panel
inline constexpr int kPanelBytes = 8 * kRowGroupBytes;

/// Elements of 64 tokens by W columns in shared memory.
__device__ __host__ constexpr int panels_elements(int width) { return 64 * width; }

/// Where element (row, column) of panels is.
__device__ inline Half* panel_at(Half* panels, int row, int column) {
  const int chunk = column % kPanel / 8 ^ row % 8;
  return panels + column / kPanel * kPanelElements + row * kPanel + chunk * 8 + column % 8;
}

/// Copies 16 bytes to shared memory in the background, or zeros.
__device__ inline void fetch_chunk(Half* to, const Half* from, bool there) {
#ifdef __CUDACC__
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(from), "r"(there ? 16 : 0)
               : "memory");
#else
  *reinterpret_cast<Eight*>(to) = there ? *reinterpret_cast<const Eight*>(from) : Eight{};
#endif
}
/// What was asked for since the last call becomes one batch.
__device__ inline void fetch_batch() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}
/// Waits for all batches but the last `Pending`; after a barrier wgmma can read what has come.
template <int Pending>
__device__ void fetch_wait() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;\n" ::"n"(Pending) : "memory");
#endif
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
#endif
}

/// What one head has in a tensor: `from` lies at a multiple of 16 bytes, dim and the stride from
/// token to token are multiples of 8.
struct HeadRows {
  const Half* from;
  int64_t stride;
  int dim;
};

/// Tokens first .. first + count - 1 to panels, by the block's one warpgroup. What is not there
/// becomes 0.
template <int W>
__device__ void fetch_panels(HeadRows rows, int first, int count, Half* to) {
  constexpr int kChunks = W / 8;
#pragma unroll
  for (int e = 0; e < 64 * kChunks / kWarpgroup; ++e) {
    const int at = static_cast<int>(threadIdx.x) + e * kWarpgroup;
    const int row = at / kChunks, column = at % kChunks * 8;
    const bool there = row < count && column < rows.dim;
    fetch_chunk(panel_at(to, row, column),
                there ? rows.from + (first + row) * rows.stride + column : rows.from, there);
  }
}

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

/// sums (64, 64) = a (64, W) times the transpose of b (64, W), panels both. Not waited for.
template <int W>
__device__ void start_rows(Operand a, Operand b, float (&sums)[8][4]) {
#pragma unroll
  for (int k = 0; k < W / 16; ++k) wgmma_rows(sums, columns_of(a, k), columns_of(b, k), k > 0);
}
/// sums (64, W) += left (64, 64), in registers, times right (64, W), panels. Not waited for.
template <int W>
__device__ void start_columns(const FragmentA (&left)[4], Operand right, float (&sums)[W / 8][4]) {
#pragma unroll
  for (int k = 0; k < 4; ++k) wgmma_columns(sums, left[k], rows_of(right, k));
}

/// A row of a lane, g (r = 0) or g + 8 (r = 1), times `factor`, to `to`, which lies at a multiple
/// of 4 bytes.
template <int W>
__device__ void store_row(const float (&sums)[W / 8][4], int r, float factor, MmaLane lane, int dim,
                          FiniteProbe& probe, Half* to) {
#pragma unroll
  for (int n = 0; n < W / 8; ++n) {
    const int d = 8 * n + 2 * lane.t;
    if (d < dim) {
      const float left = factor * sums[n][2 * r], right = factor * sums[n][2 * r + 1];
      probe.look_at(left);
      probe.look_at(right);
      *reinterpret_cast<uint32_t*>(to + d) = pack(left, right);
    }
  }
}

}  // namespace filigree::kernels::cuda
