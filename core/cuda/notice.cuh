// Word that kernels leave for kernels that follow them. For .cu files alone.
#pragma once

#include <cstdint>
#include <cuda_runtime.h>

namespace filigree::cuda {

/// How kernels leave word for kernels that follow them: no word needs to be taken back, since
/// numbers come once.
struct Notice {
  int64_t* at = nullptr;  // null: there is nobody to leave word
  int64_t number = 0;

  __device__ void leave() const { *at = number; }
  __device__ bool is_left() const { return *at == number; }
};

}  // namespace filigree::cuda
