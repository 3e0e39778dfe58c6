// The dynamic shared memory of a block. For .cu files alone.
#pragma once

#include <cuda_runtime.h>

namespace filigree::cuda {

/// What the launch asked for (Grid::shared), as elements of T.
template <class T>
__device__ T* shared_memory() {
#ifdef __CUDACC__
  extern __shared__ __align__(1024) unsigned char block_shared[];
  return reinterpret_cast<T*>(block_shared);
#else  // tests/cuda_on_cpu: C++ has no such declaration
  return static_cast<T*>(cuda_on_cpu::shared_memory());
#endif
}

}  // namespace filigree::cuda
