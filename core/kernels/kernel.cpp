#include "core/kernels/kernel.h"

#include <string>

#include "core/error.h"

namespace filigree::kernels {

void throw_no_cuda_kernel(std::string_view name) {
  throw DeviceError(name, "has no CUDA kernel in this build",
                    "build with -DFILIGREE_CUDA=ON, or use --device cpu");
}

}  // namespace filigree::kernels
