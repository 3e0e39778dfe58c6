#include <boost/context/fiber.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "cuda_runtime.h"
#include "fail.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_cpu {

void fail(const char* what) {
  std::fprintf(stderr, "CUDA on the CPU: block (%u, %u, %u), thread %u: %s\n", blockIdx.x,
               blockIdx.y, blockIdx.z, threadIdx.x, what);
  std::abort();
}

namespace {

constexpr unsigned kWarp = 32, kMostThreads = 1024;
constexpr size_t kStack = size_t{256} << 10, kSharedMost = 227 << 10;

// --- memory -------------------------------------------------------------------------------------

/// Pages that the host may not touch outside kernels, if the processor can tell.
class DeviceMemory {
 public:
  void* allocate(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t used = (bytes + page - 1) / page * page, all = used + 2 * page;
    void* start = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return nullptr;
    char* pages = static_cast<char*>(start) + page;
    mprotect(pages, used, PROT_READ | PROT_WRITE);
    // At the end of its pages, so that what lies behind it faults.
    char* block = pages + (used - bytes) / 256 * 256;
    std::memset(pages, 0xff, used);
    if (key_ >= 0) pkey_mprotect(pages, used, PROT_READ | PROT_WRITE, key_);
    const std::lock_guard lock(mutex_);
    blocks_[block] = {start, all};
    return block;
  }
  bool release(void* block) {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(block);
    if (found == blocks_.end()) return false;
    munmap(found->second.start, found->second.bytes);
    blocks_.erase(found);
    return true;
  }
  void open(bool may) const {
    if (key_ >= 0) pkey_set(key_, may ? 0 : PKEY_DISABLE_ACCESS);
  }

 private:
  struct Pages {
    void* start;
    size_t bytes;
  };
  const int key_ = pkey_alloc(0, PKEY_DISABLE_ACCESS);
  std::mutex mutex_;
  std::map<void*, Pages> blocks_;
};

DeviceMemory& memory() {
  static auto* memory = new DeviceMemory;
  return *memory;
}

// --- one block ----------------------------------------------------------------------------------

enum class State { runs, at_warp, at_block, done };

/// A stack that a thread slot keeps.
struct SlotStack {
  char* top;
  boost::context::stack_context allocate() {
    boost::context::stack_context stack;
    stack.size = kStack;
    stack.sp = top;
    return stack;
  }
  void deallocate(boost::context::stack_context&) {}
};

class Block {
 public:
  Block()
      : stacks_(static_cast<char*>(mmap(nullptr, kStack * kMostThreads, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))),
        fibers_(kMostThreads),
        callers_(kMostThreads),
        states_(kMostThreads),
        exchanges_(kMostThreads),
        slots_(2 * kMostThreads * kSlot),
        shared_(static_cast<char*>(std::aligned_alloc(1024, 256 << 10))) {}

  void run(unsigned threads, void (*call)(void*), void* context) {
    std::memset(shared_, 0xff, kSharedMost);
    for (unsigned t = 0; t < threads; ++t) {
      states_[t] = State::runs;
      exchanges_[t] = 0;
      fibers_[t] = boost::context::fiber(std::allocator_arg, SlotStack{stacks_ + (t + 1) * kStack},
                                         [this, t, call, context](boost::context::fiber&& caller) {
                                           callers_[t] = std::move(caller);
                                           call(context);
                                           states_[t] = State::done;
                                           return std::move(callers_[t]);
                                         });
    }
    for (unsigned left = threads; left > 0;) {
      for (unsigned first = 0; first < threads; first += kWarp) run_warp(first);
      left = 0;
      for (unsigned t = 0; t < threads; ++t) {
        if (states_[t] != State::done) ++left;
      }
      if (left == 0) return;
      if (left < threads) fail("some threads have ended, others wait for them at __syncthreads()");
      for (unsigned t = 0; t < threads; ++t) states_[t] = State::runs;
    }
  }

  void wait(State state) {
    const unsigned t = threadIdx.x;
    states_[t] = state;
    callers_[t] = std::move(callers_[t]).resume();
  }
  void* slot(unsigned lane) {
    const unsigned t = threadIdx.x, warp = t / kWarp * kWarp;
    return slots_.data() + ((exchanges_[t] % 2) * kMostThreads + warp + lane) * kSlot;
  }
  void next_exchange() { ++exchanges_[threadIdx.x]; }
  void* shared() { return shared_; }

 private:
  /// Until all its threads wait for the block or have ended.
  void run_warp(unsigned first) {
    for (;;) {
      unsigned warp = 0, others = 0;
      for (unsigned t = first; t < first + kWarp; ++t) {
        if (states_[t] == State::runs) {
          threadIdx = {t, 0, 0};
          fibers_[t] = std::move(fibers_[t]).resume();
        }
        (states_[t] == State::at_warp ? warp : others) += 1;
      }
      if (warp == 0) {
        for (unsigned t = first; t < first + kWarp; ++t) {
          if (states_[t] != states_[first]) fail("threads of a warp part: some end, some wait");
        }
        return;
      }
      if (others > 0) fail("threads of a warp part: not all come to its barrier");
      for (unsigned t = first; t < first + kWarp; ++t) states_[t] = State::runs;
    }
  }

  char* stacks_;
  std::vector<boost::context::fiber> fibers_, callers_;
  std::vector<State> states_;
  std::vector<unsigned> exchanges_;
  std::vector<char> slots_;
  char* shared_;
};

Block& block() {
  static auto* block = new Block;
  return *block;
}

std::mutex& device_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

thread_local int access_depth = 0;

}  // namespace

void* shared_memory() { return block().shared(); }
void meet_block() { block().wait(State::at_block); }
void meet_warp() { block().wait(State::at_warp); }
void* exchange_slot(unsigned lane) { return block().slot(lane); }
void next_exchange() { block().next_exchange(); }
unsigned lane() { return threadIdx.x % kWarp; }

unsigned ballot(bool mine) {
  std::memcpy(exchange_slot(lane()), &mine, sizeof mine);
  meet_warp();
  unsigned all = 0;
  for (unsigned l = 0; l < kWarp; ++l) {
    bool theirs;
    std::memcpy(&theirs, exchange_slot(l), sizeof theirs);
    all |= static_cast<unsigned>(theirs) << l;
  }
  next_exchange();
  return all;
}

DeviceAccess::DeviceAccess() : outermost_(access_depth++ == 0) {
  if (outermost_) memory().open(true);
}
DeviceAccess::~DeviceAccess() {
  --access_depth;
  if (outermost_) memory().open(false);
}

cudaError_t run(const cudaLaunchConfig_t& config, void (*call)(void*), void* context) {
  const dim3 grid = config.gridDim, size = config.blockDim;
  const bool fits = size.x > 0 && size.x <= kMostThreads && size.y == 1 && size.z == 1 &&
                    size.x % kWarp == 0 && grid.x > 0 && grid.x < (1U << 31) && grid.y > 0 &&
                    grid.y < (1U << 16) && grid.z > 0 && grid.z < (1U << 16) &&
                    config.dynamicSmemBytes <= kSharedMost;
  if (!fits) return cudaErrorInvalidConfiguration;
  const std::lock_guard lock(device_mutex());
  const DeviceAccess access;
  blockDim = size;
  gridDim = grid;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        block().run(size.x, call, context);
      }
    }
  }
  return cudaSuccess;
}

cudaError_t set_shared_limit(const void*, int bytes) {
  return bytes >= 0 && static_cast<size_t>(bytes) <= kSharedMost ? cudaSuccess
                                                                 : cudaErrorInvalidValue;
}

}  // namespace cuda_on_cpu

using cuda_on_cpu::DeviceAccess;
using cuda_on_cpu::memory;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
  }
  return "unknown error";
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated on the CPU");
  properties->major = 9;
  properties->multiProcessorCount = 4;
  properties->sharedMemPerBlockOptin = cuda_on_cpu::kSharedMost;
  properties->totalGlobalMem = size_t{8} << 30;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** block, size_t bytes) {
  *block = memory().allocate(bytes);
  return *block ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* block) {
  return !block || memory().release(block) ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaMallocHost(void** block, size_t bytes) {
  *block = std::malloc(bytes);
  return *block ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* block) {
  std::free(block);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t{8} << 30;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t) {
  const DeviceAccess access;
  std::memmove(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t) {
  const DeviceAccess access;
  std::memset(to, byte, bytes);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = nullptr;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
