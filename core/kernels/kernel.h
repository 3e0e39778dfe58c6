// The device-neutral seam: declares a raw kernel once for every backend.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace filigree::kernels {

/// Device of a kernel call: that of its first argument.
template <class... Rest>
DeviceType device_of(const Tensor& first, const Rest&...) {
  return first.device().type;
}

/// What the generated CUDA stubs call in a build without the CUDA kernel.
[[noreturn]] void throw_no_cuda_kernel(std::string_view name);

}  // namespace filigree::kernels

/// FILIGREE_KERNEL(name, (parameters), (arguments)) declares
///   kernels::cpu::name   defined in name's x_cpu.cpp,
///   kernels::cuda::name  defined in x_cuda.cu, or generated as a stub that throws DeviceError,
///   kernels::name        which calls the one of its first argument's device.
/// The stub generator (cmake/CudaStubs.cmake) finds it by its name. The first parameter is a tensor
/// on the device; outputs come last, unless the first is one.
#define FILIGREE_KERNEL(name, parameters, arguments)                          \
  namespace cpu {                                                             \
  void name parameters;                                                       \
  }                                                                           \
  namespace cuda {                                                            \
  void name parameters;                                                       \
  }                                                                           \
  inline void name parameters {                                               \
    if (device_of arguments == DeviceType::cuda) return cuda::name arguments; \
    return cpu::name arguments;                                               \
  }
