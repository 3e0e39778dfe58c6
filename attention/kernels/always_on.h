// Tokens that are always on, as flags. Private to kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/tensor.h"

namespace filigree {
struct AlwaysOn;
}

namespace filigree::kernels {

/// (T): 1 for tokens that are always on; `always` may be null. offsets (B+1) as of a graph.
std::vector<uint8_t> always_on_flags(const Tensor& offsets, const AlwaysOn* always);

/// The flags of a batch on a device, sent once for all layers and passes that ask in turn.
class DeviceFlags {
 public:
  /// (T) u8.
  Tensor get(const Tensor& offsets, std::shared_ptr<const AlwaysOn> always, Device device);

 private:
  std::mutex mutex_;
  std::shared_ptr<const AlwaysOn> always_;  // whose flags_ are
  Tensor flags_;
};

}  // namespace filigree::kernels
