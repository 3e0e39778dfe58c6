#include "core/kernels/reduce.h"

#include "core/error.h"

namespace filigree {

void expect_one_kind(std::string_view op, std::span<const Tensor> tensors, Device device) {
  for (const Tensor& x : tensors) {
    expect_same_kind(op, tensors.front(), x);
    if (x.device() == device) continue;
    throw DeviceError(
        op, "the result is on " + name_of(device) + ", a tensor on " + name_of(x.device()));
  }
}

}  // namespace filigree
