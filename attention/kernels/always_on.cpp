#include "attention/kernels/always_on.h"

#include <utility>

#include "attention/kernels/sparse_attention.h"

namespace filigree::kernels {

std::vector<uint8_t> always_on_flags(const Tensor& offsets, const AlwaysOn* always) {
  const auto bounds = offsets.span<int64_t>();
  std::vector<uint8_t> flags(static_cast<size_t>(bounds.back()), 0);
  for (size_t b = 0; always && b + 1 < bounds.size(); ++b) {
    for (const int32_t token : always->of(static_cast<int64_t>(b))) {
      flags[static_cast<size_t>(bounds[b] + token)] = 1;
    }
  }
  return flags;
}

Tensor DeviceFlags::get(const Tensor& offsets, std::shared_ptr<const AlwaysOn> always,
                        Device device) {
  const std::lock_guard lock(mutex_);
  if (always_ != always || flags_.device() != device) {
    flags_ = Tensor::from(always_on_flags(offsets, always.get())).to(device);
    always_ = std::move(always);
  }
  return flags_;
}

}  // namespace filigree::kernels
