// One CUDA device: its stream, its library handles, and launches on it. For .cu files alone.
#pragma once

#include <atomic>
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/cuda/notice.cuh"
#include "core/device.h"
#include "core/device_backend.h"
#include "core/tensor.h"

namespace filigree::cuda {

inline constexpr int kMostDevices = 64;

/// Throws DeviceError naming the op and the call unless `code` is success.
void check(cudaError_t code, std::string_view op, std::string_view call);
void check(cublasStatus_t code, std::string_view op, std::string_view call);

class LtPlans;  // blas_lt.cu
std::shared_ptr<LtPlans> make_lt_plans();

struct MemoryDeleter {
  void operator()(int64_t* memory) const { cudaFree(memory); }
};
struct StreamDeleter {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
};
struct BlasDeleter {
  void operator()(cublasHandle_t handle) const { cublasDestroy(handle); }
};

/// What one device is driven through. Everything goes through one stream, so that work happens in
/// the order it was asked for and freed memory may be handed on at once.
class Context {
 public:
  explicit Context(int index);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  cudaStream_t stream() const { return stream_.get(); }
  cublasHandle_t blas() const { return blas_.get(); }
  /// The same; cuBLAS says that its handle may be used so.
  cublasLtHandle_t blas_lt() const { return reinterpret_cast<cublasLtHandle_t>(blas()); }
  LtPlans& lt_plans() { return *lt_plans_; }
  /// Whether products of f32 may round their operands to TF32 (10 bits of mantissa).
  bool tf32() const { return tf32_; }
  void set_tf32(bool on) { tf32_ = on; }
  const cudaDeviceProp& properties() const { return properties_; }
  /// One that nobody else has, if fewer than 1,024 are in use at a time.
  Notice make_notice() {
    const int64_t number = 1 + notices_made_.fetch_add(1, std::memory_order_relaxed);
    return {notices_.get() + number % kNotices, number};
  }

  /// Of DeviceCounters.
  void count_launch() const { launches_.fetch_add(1, std::memory_order_relaxed); }
  void count_upload() const { uploads_.fetch_add(1, std::memory_order_relaxed); }
  void count_wait() const { waits_.fetch_add(1, std::memory_order_relaxed); }
  /// A product that was to do more on its way out: whether it could.
  void count_fused(bool taken) const {
    (taken ? fused_ : unfused_).fetch_add(1, std::memory_order_relaxed);
  }
  DeviceCounters counters() const {
    return {launches_.load(), uploads_.load(), waits_.load(), fused_.load(), unfused_.load()};
  }

 private:
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, StreamDeleter> stream_;
  std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, BlasDeleter> blas_;
  std::shared_ptr<LtPlans> lt_plans_ = make_lt_plans();
  std::atomic<bool> tf32_ = false;
  mutable std::atomic<int64_t> launches_ = 0, uploads_ = 0, waits_ = 0, fused_ = 0, unfused_ = 0;
  static constexpr int64_t kNotices = 1024;
  std::unique_ptr<int64_t, MemoryDeleter> notices_;  // (kNotices), 0 at first
  std::atomic<int64_t> notices_made_ = 0;
  cudaDeviceProp properties_{};
};

/// The context of a device, made at its first use; makes the device the calling thread's current
/// one. Lives as long as the process: tensors with static lifetime may outlive any other end.
Context& context_of(Device device);

/// blocks x heads blocks of `threads` threads with `shared` bytes of dynamic shared memory.
struct Grid {
  int64_t blocks = 1;
  int64_t heads = 1;
  int threads = 256;
  int64_t shared = 0;
};

/// "128 x 4 blocks of 256 threads, 0 B shared"; for errors.
std::string describe(const Grid& grid);
/// Throws unless the grid is one that CUDA can launch.
cudaLaunchConfig_t launch_config(std::string_view op, const Context& context, const Grid& grid);

/// Launches kernel(arguments...) on the device of `where`; nothing for an empty grid. Throws
/// DeviceError naming the op and the grid.
template <class... P, class... A>
void launch(std::string_view op, const Tensor& where, const Grid& grid, void (*kernel)(P...),
            A&&... arguments) {
  if (grid.blocks == 0 || grid.heads == 0) return;
  const Context& context = context_of(where.device());
  const cudaLaunchConfig_t config = launch_config(op, context, grid);
  if (grid.shared > (int64_t{48} << 10)) {  // above that a kernel must be asked
    // Always the same value, so that launches of other sizes do not take it away.
    const cudaError_t allowed =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(context.properties().sharedMemPerBlockOptin));
    if (allowed != cudaSuccess) check(allowed, op, "cudaFuncSetAttribute for " + describe(grid));
  }
  const cudaError_t launched =
      cudaLaunchKernelEx(&config, kernel, static_cast<P>(std::forward<A>(arguments))...);
  if (launched != cudaSuccess) check(launched, op, "launch of " + describe(grid));
  context.count_launch();
}

}  // namespace filigree::cuda
