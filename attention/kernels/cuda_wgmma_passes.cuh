// The passes of attention on Hopper's tensor cores, compiled apart. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_tile_backward.cuh"
#include "core/tensor.h"

namespace filigree::kernels::cuda {

/// True if the passes below can do this one: on a GPU of compute capability 9.0, for heads of 40 to
/// 128 elements, 16 bytes apart at least. FILIGREE_WGMMA=0 in the environment leaves all to the
/// kernels of cuda_mma.
bool wgmma_takes(const TilePass<BFloat16>& pass, const Tensor& where);

/// Where a result is NaN or Inf they say so (pass.not_finite). The pass walks over rows of tiles,
/// or over columns.
void wgmma_forward_pass(const TilePass<BFloat16>& pass, const Tensor& where, BFloat16* o,
                        float* lse);
void wgmma_rows_pass(const TilePass<BFloat16>& pass, const Tensor& where, BFloat16* dq,
                     DistanceParts<float> parts);
void wgmma_columns_pass(const TilePass<BFloat16>& pass, const Tensor& where, BFloat16* dk,
                        BFloat16* dv);

}  // namespace filigree::kernels::cuda
