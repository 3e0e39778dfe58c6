#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <nvtx3/nvToolsExt.h>

#include "core/allocator.h"
#include "core/cuda/context.cuh"
#include "core/device_backend.h"

namespace filigree {

namespace {

constexpr std::string_view kWhere = "device";

Device device_at(int index) { return {DeviceType::cuda, index}; }

struct EventDeleter {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
struct HostDeleter {
  void operator()(void* block) const { cudaFreeHost(block); }
};

using HostBlock = std::unique_ptr<void, HostDeleter>;
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, EventDeleter>;

HostBlock page_locked(size_t bytes) {
  void* block = nullptr;
  cuda::check(cudaMallocHost(&block, bytes), kWhere, "cudaMallocHost");
  return HostBlock(block);
}
Event make_event() {
  cudaEvent_t event = nullptr;
  cuda::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), kWhere, "cudaEventCreate");
  return Event(event);
}

/// Page-locked memory in two halves, filled by one upload after the other: only when a half is full
/// are the copies from the other waited for.
class Staging {
 public:
  void upload(const cuda::Context& context, char* to, const char* from, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (!halves_[1].block) make();
    while (bytes > 0) {
      if (used_ == kHalf) turn(context);
      const int64_t count = std::min(kHalf - used_, bytes);
      char* const place = static_cast<char*>(halves_[now_].block.get()) + used_;
      std::memcpy(place, from, static_cast<size_t>(count));
      cuda::check(cudaMemcpyAsync(to, place, static_cast<size_t>(count), cudaMemcpyHostToDevice,
                                  context.stream()),
                  kWhere, "cudaMemcpyAsync to the device");
      used_ = std::min(kHalf, (used_ + count + kAlignment - 1) / kAlignment * kAlignment);
      to += count;
      from += count;
      bytes -= count;
    }
    context.count_upload();
  }

 private:
  static constexpr int64_t kHalf = int64_t{16} << 20, kAlignment = 256;
  struct Half {
    HostBlock block;
    Event copied;
  };

  void make() {
    for (Half& half : halves_) {  // of the second the block is made last: it says that all is there
      half.copied = make_event();
      half.block = page_locked(static_cast<size_t>(kHalf));
    }
  }
  void turn(const cuda::Context& context) {
    cuda::check(cudaEventRecord(halves_[now_].copied.get(), context.stream()), kWhere,
                "cudaEventRecord");
    now_ = 1 - now_;
    const cudaEvent_t copied = halves_[now_].copied.get();
    if (const cudaError_t ready = cudaEventQuery(copied); ready == cudaErrorNotReady) {
      context.count_wait();
      cuda::check(cudaEventSynchronize(copied), kWhere, "cudaEventSynchronize");
    } else {
      cuda::check(ready, kWhere, "cudaEventQuery");
    }
    used_ = 0;
  }

  std::mutex mutex_;
  Half halves_[2];
  int now_ = 0;
  int64_t used_ = 0;
};

/// Into page-locked memory of its own, with an event behind it.
class CudaReadback final : public Readback::Copy {
 public:
  CudaReadback(const cuda::Context& context, int64_t bytes)
      : context_(context),
        bytes_(static_cast<size_t>(bytes)),
        block_(page_locked(bytes_)),
        copied_(make_event()) {}
  void start(const void* from) override {
    cuda::check(
        cudaMemcpyAsync(block_.get(), from, bytes_, cudaMemcpyDeviceToHost, context_.stream()),
        kWhere, "cudaMemcpyAsync to the host");
    cuda::check(cudaEventRecord(copied_.get(), context_.stream()), kWhere, "cudaEventRecord");
  }
  const void* wait() override {
    cuda::check(cudaEventSynchronize(copied_.get()), kWhere, "cudaEventSynchronize");
    return block_.get();
  }

 private:
  const cuda::Context& context_;
  size_t bytes_;
  HostBlock block_;
  Event copied_;
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
    const std::lock_guard lock(described_);
    std::string& text = descriptions_[index];
    if (text.empty()) text = describe(index);
    return text;
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

  std::unique_ptr<Readback::Copy> make_readback(int index, int64_t bytes) override {
    return std::make_unique<CudaReadback>(cuda::context_of(device_at(index)), bytes);
  }

  void synchronize(int index) override {
    const cuda::Context& context = cuda::context_of(device_at(index));
    cuda::check(cudaStreamSynchronize(context.stream()), kWhere, "cudaStreamSynchronize");
    context.count_wait();
  }
  DeviceCounters counters(int index) override {
    return cuda::context_of(device_at(index)).counters();
  }

  void begin_range(const std::string& name) override { nvtxRangePushA(name.c_str()); }
  void end_range() noexcept override { nvtxRangePop(); }

 private:
  /// Takes a while: the driver puts together all that it knows.
  static std::string describe(int index) {
    cudaDeviceProp found{};
    cuda::check(cudaGetDeviceProperties(&found, index), kWhere, "cudaGetDeviceProperties");
    return std::string(found.name) + ", " + std::to_string(found.multiProcessorCount) +
           " processors, " + human_bytes(static_cast<int64_t>(found.totalGlobalMem)) + ", sm_" +
           std::to_string(found.major) + std::to_string(found.minor);
  }
  static std::pair<int64_t, int64_t> memory(int index) {
    cuda::context_of(device_at(index));
    size_t free = 0, total = 0;
    cuda::check(cudaMemGetInfo(&free, &total), kWhere, "cudaMemGetInfo");
    return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
  }

  std::array<Staging, cuda::kMostDevices> staging_;
  std::mutex described_;
  std::map<int, std::string> descriptions_;  // by the device's index
};

}  // namespace

DeviceBackend* cuda_backend() {
  static auto* backend = new CudaBackend;  // tensors with static lifetime may outlive it
  return backend;
}

}  // namespace filigree
