// The part of the CUDA runtime that Filigree uses, on the CPU: for tests of the CUDA kernels on
// machines without a GPU. One block at a time, every thread of it a fiber that runs until its block
// or its warp has to meet. Stands in for NVIDIA's header of this name (-DFILIGREE_CUDA=emulated).
//
// What it finds that a GPU would not say:
//   - the host reads or writes device memory (a fault, where the processor has protection keys)
//   - a kernel reads or writes outside an allocation (a fault), or uses what was never written
//   (NaN)
//   - threads of a warp that do not all come to the same barrier (an error)
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorNotReady = 600,
  cudaErrorInvalidDevice = 101,
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
using cudaStream_t = struct EmulatedStream*;
using cudaEvent_t = struct EmulatedEvent*;
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  size_t sharedMemPerBlockOptin, totalGlobalMem;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  void* attrs = nullptr;
  unsigned numAttrs = 0;
};

const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaMalloc(void** block, size_t bytes);
cudaError_t cudaFree(void* block);
cudaError_t cudaMallocHost(void** block, size_t bytes);
cudaError_t cudaFreeHost(void* block);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
inline cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }

/// Where the running thread is.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_cpu {

/// The block's dynamic shared memory.
void* shared_memory();
/// All threads of the block, or of the warp, come here before one goes on.
void meet_block();
void meet_warp();
inline constexpr size_t kSlot = 32;
/// Room of kSlot bytes a lane through which a warp exchanges values: of this exchange, for `lane`.
void* exchange_slot(unsigned lane);
void next_exchange();
unsigned lane();

cudaError_t run(const cudaLaunchConfig_t& config, void (*call)(void*), void* context);
cudaError_t set_shared_limit(const void* kernel, int bytes);

/// Device memory may be touched while one of these lives: what library calls are made of.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;

 private:
  bool outermost_;
};

template <class T>
T exchange(T value, unsigned from) {
  static_assert(sizeof(T) <= kSlot);
  std::memcpy(exchange_slot(lane()), &value, sizeof(T));
  meet_warp();
  std::memcpy(&value, exchange_slot(from & 31U), sizeof(T));
  next_exchange();
  return value;
}

/// mma.sync.m16n8k16 of bf16 pairs: c (16 x 8) += a (16 x 16) b (16 x 8), spread over the lanes.
void multiply_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

/// Bit l: whether lane l said so.
unsigned ballot(bool mine);

/// ldmatrix.x4 of 16-bit elements, `across` with .trans: row l % 8 of matrix l / 8 begins at lane
/// l's `row`, in shared memory.
void load_matrices(const void* row, bool across, uint32_t (&r)[4]);

/// wgmma.m64nNk16 of bf16 pairs, N = 8 columns: c (64 x N) = or += a b. a: registers, or null for a
/// descriptor of rows of 16; b: a descriptor of N rows of 16, or, `across`, of 16 rows of N. With
/// 128-byte swizzle; addresses are offsets in the block's shared memory.
void multiply_warpgroup(float (*c)[4], const uint32_t* a, uint64_t a_descriptor,
                        uint64_t b_descriptor, int columns, bool across, bool add);

}  // namespace cuda_on_cpu

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(P...), A&&... a) {
  auto call = [&] { kernel(P(a)...); };
  return cuda_on_cpu::run(
      *config, [](void* context) { (*static_cast<decltype(call)*>(context))(); }, &call);
}
template <class... P>
cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute, int value) {
  return cuda_on_cpu::set_shared_limit(reinterpret_cast<const void*>(kernel), value);
}

inline void __syncthreads() { cuda_on_cpu::meet_block(); }
inline void __syncwarp(unsigned = ~0U) { cuda_on_cpu::meet_warp(); }
template <class T>
T __shfl_sync(unsigned, T value, int from) {
  return cuda_on_cpu::exchange(value, static_cast<unsigned>(from));
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return cuda_on_cpu::exchange(value, cuda_on_cpu::lane() ^ static_cast<unsigned>(mask));
}
template <class T>
T __shfl_up_sync(unsigned, T value, unsigned by) {
  const unsigned lane = cuda_on_cpu::lane();
  return cuda_on_cpu::exchange(value, lane < by ? lane : lane - by);
}
inline unsigned __ballot_sync(unsigned, int predicate) {
  return cuda_on_cpu::ballot(predicate != 0);
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
