// Numbers that a device knows, read without waiting for what was asked of it since.
#pragma once

#include <memory>

#include "core/tensor.h"

namespace filigree {

/// One read at a time. start() asks for a tensor's bytes as they will be when all that was asked of
/// the device until now is done; get() waits for that and gives them. What is asked of the device
/// between the two does not delay get().
class Readback {
 public:
  /// What a device has to offer: see DeviceBackend::make_readback().
  class Copy {
   public:
    virtual ~Copy() = default;
    virtual void start(const void* from) = 0;
    /// Host memory with the bytes, which stay until the next start().
    virtual const void* wait() = 0;
  };

  Readback() = default;
  /// For tensors of this shape and dtype on this device.
  Readback(const Shape& shape, DType dtype, Device device);

  /// Throws ShapeError, DTypeError, DeviceError unless x is as the constructor was told.
  void start(const Tensor& x);
  /// On the CPU; the same every time until the next start().
  const Tensor& get();

 private:
  Tensor host_;
  Device device_ = kCpu;
  std::unique_ptr<Copy> copy_;  // null on the CPU
  bool under_way_ = false;
};

}  // namespace filigree
