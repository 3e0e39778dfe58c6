#include <array>
#include <memory>
#include <mutex>
#include <string>

#include "core/allocator.h"
#include "core/cuda/context.cuh"
#include "core/device_backend.h"
#include "core/error.h"

namespace filigree::cuda {

namespace {

std::string text(std::string_view call, std::string_view reason) {
  return std::string(call) + ": " + std::string(reason);
}

}  // namespace

void check(cudaError_t code, std::string_view op, std::string_view call) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // so that the next call does not report it again
  throw DeviceError(op, text(call, cudaGetErrorString(code)),
                    "an error may come from an earlier kernel: CUDA_LAUNCH_BLOCKING=1 finds it");
}

void check(cublasStatus_t code, std::string_view op, std::string_view call) {
  if (code == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(op, text(call, cublasGetStatusString(code)));
}

Context::Context(int index) {
  check(cudaSetDevice(index), "device", "cudaSetDevice");
  check(cudaGetDeviceProperties(&properties_, index), "device", "cudaGetDeviceProperties");
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "device", "cudaStreamCreate");
  stream_.reset(stream);
  void* notices = nullptr;
  constexpr size_t kNoticeBytes = kNotices * sizeof(int64_t);
  check(cudaMalloc(&notices, kNoticeBytes), "device", "cudaMalloc");
  notices_.reset(static_cast<int64_t*>(notices));
  check(cudaMemsetAsync(notices, 0, kNoticeBytes, stream), "device", "cudaMemsetAsync");
  cublasHandle_t blas = nullptr;
  check(cublasCreate(&blas), "device", "cublasCreate");
  blas_.reset(blas);
  check(cublasSetStream(blas, stream), "device", "cublasSetStream");
  // Sums of bf16 products are f32, also where a product is divided.
  check(cublasSetMathMode(
            blas, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                            CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
        "device", "cublasSetMathMode");
}

Context& context_of(Device device) {
  static std::array<std::once_flag, kMostDevices> made;
  static std::array<Context*, kMostDevices> contexts{};
  if (device.is_cpu() || device.index >= kMostDevices) {
    throw DeviceError("device", name_of(device) + " is no CUDA device");
  }
  const auto at = static_cast<size_t>(device.index);
  std::call_once(made[at], [&] { contexts[at] = new Context(device.index); });
  check(cudaSetDevice(device.index), "device", "cudaSetDevice");
  return *contexts[at];
}

std::string describe(const Grid& grid) {
  return std::to_string(grid.blocks) + " x " + std::to_string(grid.heads) + " blocks of " +
         std::to_string(grid.threads) + " threads, " + human_bytes(grid.shared) + " shared";
}

cudaLaunchConfig_t launch_config(std::string_view op, const Context& context, const Grid& grid) {
  const bool fits =
      grid.blocks < (int64_t{1} << 31) && grid.heads < (int64_t{1} << 16) && grid.shared >= 0 &&
      grid.shared <= static_cast<int64_t>(context.properties().sharedMemPerBlockOptin);
  if (!fits) {
    throw DeviceError(
        op, describe(grid) + " are more than the device has (" +
                human_bytes(static_cast<int64_t>(context.properties().sharedMemPerBlockOptin)) +
                " shared)");
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks), static_cast<unsigned>(grid.heads));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = static_cast<size_t>(grid.shared);
  config.stream = context.stream();
  return config;
}

}  // namespace filigree::cuda
