#include "core/readback.h"

#include <cstring>
#include <utility>

#include "core/device_backend.h"
#include "core/error.h"

namespace filigree {

Readback::Readback(const Shape& shape, DType dtype, Device device)
    : host_(shape, dtype), device_(device) {
  if (!device.is_cpu()) copy_ = backend_of(device).make_readback(device.index, host_.bytes());
}

void Readback::start(const Tensor& x) {
  expect_shape("readback", "x", host_.shape(), x.shape());
  if (x.dtype() != host_.dtype()) throw_dtype("readback", name_of(host_.dtype()), x.dtype());
  if (x.device() != device_) {
    throw DeviceError("readback", "expected a tensor on " + name_of(device_) + ", got one on " +
                                      name_of(x.device()));
  }
  if (copy_) {
    copy_->start(x.raw());
    under_way_ = true;
  } else {
    std::memcpy(host_.raw(), x.raw(), static_cast<size_t>(x.bytes()));
  }
}

const Tensor& Readback::get() {
  if (std::exchange(under_way_, false)) {
    std::memcpy(host_.raw(), copy_->wait(), static_cast<size_t>(host_.bytes()));
  }
  return host_;
}

}  // namespace filigree
