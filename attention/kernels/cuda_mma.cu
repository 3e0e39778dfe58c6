#include "attention/kernels/cuda_mma_cores.cuh"
#include "attention/kernels/cuda_tensor_launch.cuh"

namespace filigree::kernels::cuda {

template struct TensorPasses<MmaCores>;

}  // namespace filigree::kernels::cuda
