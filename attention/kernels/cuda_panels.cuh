// 64 tokens of one head in shared memory, as tensor cores read them, and the way there and back.
// For .cu files alone.
//
// They are panels of 64 columns, a panel 64 rows of 128 bytes. The eight chunks of 16 bytes of row
// r stand in the order c ^ (r % 8), so that neither rows nor columns of chunks meet in a bank (PTX
// ISA, "128-byte swizzle"; a panel begins at a multiple of 1,024 bytes). The same panel is read in
// both directions: for a product with its transpose, and for one with itself.
#pragma once

#include "attention/kernels/cuda_mma.cuh"
#include "core/cuda/notice.cuh"

namespace filigree::kernels::cuda {

/// Eight neighbours, loaded and stored at once.
struct alignas(16) Eight {
  Half h[8];
};

inline constexpr int kWarpgroup = 128;  // threads: four warps, 16 of 64 rows each
inline constexpr int kMmaRows = 16;
inline constexpr int kPanel = 64, kPanelElements = 64 * kPanel;
inline constexpr int kRowGroupBytes = 1024;  // eight rows of a panel
inline constexpr int kPanelBytes = 8 * kRowGroupBytes;

/// Elements of 64 tokens by W columns in shared memory: of whole panels.
__device__ __host__ constexpr int panels_elements(int width) {
  return 64 * (width < kPanel ? kPanel : width);
}

/// Where element (row, column) of panels is. P: a pointer.
template <class P>
__device__ P panel_at(P panels, int row, int column) {
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
/// Waits for all batches but the last `Pending`; after a barrier tensor cores can read what has
/// come.
template <int Pending>
__device__ void fetch_wait() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;\n" ::"n"(Pending) : "memory");
#endif
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
#endif
}

/// What one head has in a tensor. Aligned: `from` lies at a multiple of 16 bytes, dim and the
/// stride from token to token are multiples of 8.
struct HeadRows {
  const Half* from;
  int64_t stride;
  int dim;
  bool aligned;
};

/// Eight elements from `from` on, of which so many are there.
__device__ inline Eight load_eight(const Half* from, int count) {
  Eight values{};
  for (int i = 0; i < 8 && i < count; ++i) values.h[i] = from[i];
  return values;
}

/// Tokens first .. first + count - 1 to panels, by the block's one warpgroup; in the background, if
/// they are aligned. What is not there becomes 0.
template <int W>
__device__ void fetch_panels(const HeadRows& rows, int first, int count, Half* to) {
  constexpr int kChunks = W / 8;
#pragma unroll
  for (int e = 0; e < 64 * kChunks / kWarpgroup; ++e) {
    const int at = static_cast<int>(threadIdx.x) + e * kWarpgroup;
    const int row = at / kChunks, column = at % kChunks * 8;
    const bool there = row < count && column < rows.dim;
    const Half* from = there ? rows.from + (first + row) * rows.stride + column : rows.from;
    if (rows.aligned) {
      fetch_chunk(panel_at(to, row, column), from, there);
    } else {
      *reinterpret_cast<Eight*>(panel_at(to, row, column)) =
          load_eight(from, there ? rows.dim - column : 0);
    }
  }
}

/// Whether a lane's results are all finite.
class FiniteProbe {
 public:
  __device__ void look_at(float value) { sum_ = std::fma(value, 0.0F, sum_); }
  /// Says so, if they are not: all that do write the same.
  __device__ void tell(const filigree::cuda::Notice& not_finite) const {
    if (sum_ != 0.0F) not_finite.leave();  // NaN
  }

 private:
  float sum_ = 0;
};

/// A row of a lane, g (r = 0) or g + 8 (r = 1), times `factor`, to `to`. Paired: that lies at a
/// multiple of 4 bytes, and dim is even.
template <int W>
__device__ void store_row(const float (&sums)[W / 8][4], int r, float factor, MmaLane lane, int dim,
                          bool paired, FiniteProbe& probe, Half* to) {
#pragma unroll
  for (int n = 0; n < W / 8; ++n) {
    const int d = 8 * n + 2 * lane.t;
    if (d >= dim) continue;
    const float left = factor * sums[n][2 * r], right = factor * sums[n][2 * r + 1];
    probe.look_at(left);
    probe.look_at(right);
    if (paired) {
      *reinterpret_cast<uint32_t*>(to + d) = pack(left, right);
    } else {
      to[d] = to_bfloat16(left);
      if (d + 1 < dim) to[d + 1] = to_bfloat16(right);
    }
  }
}

}  // namespace filigree::kernels::cuda
