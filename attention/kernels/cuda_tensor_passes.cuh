// The passes of attention on tensor cores, compiled apart. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_tile_backward.cuh"
#include "core/tensor.h"

namespace filigree::kernels::cuda {

struct MmaCores;    // cuda_mma_cores.cuh, cuda_mma.cu
struct WgmmaCores;  // cuda_wgmma.cuh, cuda_wgmma.cu

/// Tensor cores take heads of up to so many elements, in bf16.
inline constexpr int kWidestTensor = 128;

/// True if WgmmaCores can do passes of heads of `dim` elements on the device: of 40 to 128, a
/// multiple of 8, on a GPU of compute capability 9.0. FILIGREE_WGMMA=0 in the environment leaves
/// all to MmaCores.
bool wgmma_takes(int64_t dim, Device device);
/// The same, and the pass's heads lie at multiples of 16 bytes.
bool wgmma_takes(const TilePass<BFloat16>& pass, const Tensor& where);

/// Where a result is NaN or Inf they say so (pass.not_finite).
template <class Cores>
struct TensorPasses {
  static void forward(const TilePass<BFloat16>& pass, const Tensor& where, BFloat16* o, float* lse);
  /// dq
  static void rows(const TilePass<BFloat16>& pass, const Tensor& where, BFloat16* dq,
                   DistanceParts<float> parts);
  /// dk and dv
  static void columns(const TilePass<BFloat16>& pass, const Tensor& where, BFloat16* dk,
                      BFloat16* dv);
};

/// body.template operator()<Cores>() with the cores that take the pass.
template <class Body>
void with_cores(const TilePass<BFloat16>& pass, const Tensor& where, Body body) {
  wgmma_takes(pass, where) ? body.template operator()<WgmmaCores>()
                           : body.template operator()<MmaCores>();
}

}  // namespace filigree::kernels::cuda
