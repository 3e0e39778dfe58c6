#include "core/device_backend.h"

#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

DeviceBackend& backend_of(Device device) {
  DeviceBackend* backend = device.is_cpu() ? nullptr : cuda_backend();
  if (!backend) {
    throw DeviceError("device", fmt::format("{} is not in this build", name_of(device)),
                      "build with -DFILIGREE_CUDA=ON, or use --device cpu");
  }
  const int count = backend->count();
  if (device.index >= count) {
    throw DeviceError(
        "device",
        count == 0
            ? fmt::format("there is no {}: no CUDA device was found", name_of(device))
            : fmt::format("there is no {}: the machine has {} of them", name_of(device), count),
        "nvidia-smi lists what the driver sees; or use --device cpu");
  }
  return *backend;
}

void synchronize(Device device) {
  if (!device.is_cpu()) backend_of(device).synchronize(device.index);
}

DeviceRange::DeviceRange(Device device, std::string_view path, std::string_view op,
                         std::string_view phase) {
  if (device.is_cpu()) return;
  backend_ = cuda_backend();
  if (!backend_) return;
  thread_local std::string text;  // keeps its room
  text = path;
  for (const std::string_view part : {op, phase}) {
    if (!text.empty() && !part.empty()) text += ' ';
    text += part;
  }
  backend_->begin_range(text);
}
DeviceRange::~DeviceRange() {
  if (backend_) backend_->end_range();
}

}  // namespace filigree
