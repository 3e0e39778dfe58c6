// What core needs of a device that is not the CPU: memory, copies, waiting.
#pragma once

#include <cstdint>
#include <string>

#include "core/device.h"

namespace filigree {

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

  /// From the host, which may change its memory at once.
  virtual void upload(int index, void* to, const void* from, int64_t bytes) = 0;
  /// To the host; returns when the bytes are there.
  virtual void download(int index, void* to, const void* from, int64_t bytes) = 0;
  virtual void copy(int index, void* to, const void* from, int64_t bytes) = 0;
  /// Returns when all that was asked of the device is done.
  virtual void synchronize(int index) = 0;
};

/// Null in a build without CUDA.
DeviceBackend* cuda_backend();
/// The backend of a device that is not the CPU. Throws DeviceError if the build or the machine does
/// not have it.
DeviceBackend& backend_of(Device device);
/// Returns when all that was asked of the device is done; on the CPU at once.
void synchronize(Device device);

}  // namespace filigree
