// Copies of parameters in the dtype that is computed in, kept from one forward pass to the next.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "autograd/variable.h"

namespace filigree {

/// A parameter's value rounded to another dtype, kept until the value may have been written
/// (Tensor::version()): all micro-batches of a step share it. On the CPU, where that is not known,
/// it is made at every use.
class RoundedCopy {
 public:
  explicit RoundedCopy(Variable master) : master_(std::move(master)) {}

  int64_t numel() const { return std::as_const(master_).value().numel(); }

  /// The values of all masters, on one device, in `dtype`. Those that are not kept are made
  /// together: 90 a launch. What was handed out before is never written to again while it is held:
  /// a backward pass has the weights of its forward pass. Throws DTypeError unless all dtypes are
  /// floating, DeviceError for several devices. May be called from several threads.
  static Tensors current(std::span<RoundedCopy* const> copies, DType dtype);

 private:
  bool is_current(DType dtype) const;
  /// Room for a new copy: the old one's, if nobody holds it.
  void prepare(DType dtype);

  Variable master_;
  Tensor value_;              // undefined until it is asked for
  uint64_t version_ = 0;      // of the master that value_ is of
  const void* at_ = nullptr;  // where it was: a storage has one version for all its parts
};

}  // namespace filigree
