#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <nvtx3/nvToolsExt.h>

#include "core/allocator.h"
#include "core/cuda/context.cuh"
#include "core/device_backend.h"

namespace filigree {

namespace {

constexpr std::string_view kWhere = "device";

Device device_at(int index) { return {DeviceType::cuda, index}; }

/// Page-locked memory in two halves: while one is copied to the device, the other is filled.
class Staging {
 public:
  void upload(const cuda::Context& context, char* to, const char* from, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    for (Half& half : halves_) make(half);
    for (int64_t done = 0; done < bytes; done += kHalf) {
      const auto count = static_cast<size_t>(std::min(kHalf, bytes - done));
      Half& half = halves_[next_];
      next_ = 1 - next_;
      cuda::check(cudaEventSynchronize(half.copied), kWhere, "cudaEventSynchronize");
      std::memcpy(half.block, from + done, count);
      cuda::check(
          cudaMemcpyAsync(to + done, half.block, count, cudaMemcpyHostToDevice, context.stream()),
          kWhere, "cudaMemcpyAsync to the device");
      cuda::check(cudaEventRecord(half.copied, context.stream()), kWhere, "cudaEventRecord");
    }
  }

 private:
  static constexpr int64_t kHalf = int64_t{4} << 20;
  struct Half {
    void* block = nullptr;
    cudaEvent_t copied = nullptr;
  };

  static void make(Half& half) {
    if (!half.copied) {
      cuda::check(cudaEventCreateWithFlags(&half.copied, cudaEventDisableTiming), kWhere,
                  "cudaEventCreate");
    }
    if (!half.block) cuda::check(cudaMallocHost(&half.block, kHalf), kWhere, "cudaMallocHost");
  }

  std::mutex mutex_;
  Half halves_[2];
  int next_ = 0;
};

class CudaBackend final : public DeviceBackend {
 public:
  int count() override {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaErrorNoDevice || code == cudaErrorInsufficientDriver) {
      cudaGetLastError();  // no device, or no driver at all
      return 0;
    }
    cuda::check(code, kWhere, "cudaGetDeviceCount");
    return count;
  }

  std::string description(int index) override {
    const cudaDeviceProp& found = cuda::context_of(device_at(index)).properties();
    return std::string(found.name) + ", " + std::to_string(found.multiProcessorCount) +
           " processors, " + human_bytes(static_cast<int64_t>(found.totalGlobalMem)) + ", sm_" +
           std::to_string(found.major) + std::to_string(found.minor);
  }

  void* allocate(int index, int64_t bytes) override {
    cuda::context_of(device_at(index));
    void* block = nullptr;
    const cudaError_t code = cudaMalloc(&block, static_cast<size_t>(bytes));
    if (code == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    cuda::check(code, kWhere, "cudaMalloc of " + human_bytes(bytes));
    return block;
  }

  void release(int, void* block) noexcept override { cudaFree(block); }

  int64_t free_bytes(int index) override { return memory(index).first; }
  int64_t total_bytes(int index) override { return memory(index).second; }

  void set_tf32(int index, bool on) override { cuda::context_of(device_at(index)).set_tf32(on); }

  void upload(int index, void* to, const void* from, int64_t bytes) override {
    staging_.at(static_cast<size_t>(index))
        .upload(cuda::context_of(device_at(index)), static_cast<char*>(to),
                static_cast<const char*>(from), bytes);
  }

  void download(int index, void* to, const void* from, int64_t bytes) override {
    const cuda::Context& context = cuda::context_of(device_at(index));
    cuda::check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost,
                                context.stream()),
                kWhere, "cudaMemcpyAsync to the host");
    synchronize(index);
  }

  void copy(int index, void* to, const void* from, int64_t bytes) override {
    const cuda::Context& context = cuda::context_of(device_at(index));
    cuda::check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice,
                                context.stream()),
                kWhere, "cudaMemcpyAsync on the device");
  }

  void synchronize(int index) override {
    cuda::check(cudaStreamSynchronize(cuda::context_of(device_at(index)).stream()), kWhere,
                "cudaStreamSynchronize");
  }

  void begin_range(const std::string& name) override { nvtxRangePushA(name.c_str()); }
  void end_range() noexcept override { nvtxRangePop(); }

 private:
  static std::pair<int64_t, int64_t> memory(int index) {
    cuda::context_of(device_at(index));
    size_t free = 0, total = 0;
    cuda::check(cudaMemGetInfo(&free, &total), kWhere, "cudaMemGetInfo");
    return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
  }

  std::array<Staging, cuda::kMostDevices> staging_;
};

}  // namespace

DeviceBackend* cuda_backend() {
  static auto* backend = new CudaBackend;  // tensors with static lifetime may outlive it
  return backend;
}

}  // namespace filigree
