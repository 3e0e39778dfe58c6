// What core needs of a device that is not the CPU: memory, copies, waiting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/device.h"
#include "core/readback.h"

namespace filigree {

/// What a device has been asked for since the start of the process.
struct DeviceCounters {
  int64_t launches = 0;  ///< of kernels, without those of libraries
  int64_t uploads = 0;   ///< copies to the device
  int64_t waits = 0;     ///< how often the host waited for what it had asked for to be done, but
                         ///< for readbacks
  int64_t fused = 0;    ///< products that added a bias, or summed up its gradient, on their way out
  int64_t unfused = 0;  ///< those that were to, and for which the library had no algorithm
};

/// Memory of the devices of one type. What is called for a device happens in the order of the
/// calls, together with the kernels that were launched on it. Throws DeviceError.
class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  virtual int count() = 0;
  /// "NVIDIA H200, 132 processors, 139.8 GiB, sm_90".
  virtual std::string description(int index) = 0;

  /// Null if there is no memory left.
  virtual void* allocate(int index, int64_t bytes) = 0;
  virtual void release(int index, void* block) noexcept = 0;
  /// What is free on the device, whoever uses it, and all it has. Bytes.
  virtual int64_t free_bytes(int index) = 0;
  virtual int64_t total_bytes(int index) = 0;

  /// Whether products of f32 may round their operands to TF32 (10 bits of mantissa); at first not.
  virtual void set_tf32(int index, bool on) = 0;

  /// From the host, which may change its memory at once.
  virtual void upload(int index, void* to, const void* from, int64_t bytes) = 0;
  /// To the host; returns when the bytes are there.
  virtual void download(int index, void* to, const void* from, int64_t bytes) = 0;
  virtual void copy(int index, void* to, const void* from, int64_t bytes) = 0;
  /// For reads of so many bytes that do not wait.
  virtual std::unique_ptr<Readback::Copy> make_readback(int index, int64_t bytes) = 0;
  /// Returns when all that was asked of the device is done.
  virtual void synchronize(int index) = 0;
  virtual DeviceCounters counters(int index) = 0;

  /// What the calling thread asks for between the two is shown under `name` by profilers (NVTX).
  /// Ranges nest.
  virtual void begin_range(const std::string& name) = 0;
  virtual void end_range() noexcept = 0;
};

/// Null in a build without CUDA.
DeviceBackend* cuda_backend();
/// The backend of a device that is not the CPU. Throws DeviceError if the build or the machine does
/// not have it.
DeviceBackend& backend_of(Device device);
/// Returns when all that was asked of the device is done; on the CPU at once.
void synchronize(Device device);

/// While one lives, what is asked of the device is shown as "path op" or "path op phase" by
/// profilers; nothing on the CPU.
class DeviceRange {
 public:
  DeviceRange(Device device, std::string_view path, std::string_view op,
              std::string_view phase = {});
  ~DeviceRange();
  DeviceRange(const DeviceRange&) = delete;
  DeviceRange& operator=(const DeviceRange&) = delete;

 private:
  DeviceBackend* backend_ = nullptr;
};

}  // namespace filigree
