// The CUDA device of the tests, if there is one: a GPU, or the emulation (tests/cuda_on_cpu).
#pragma once

#include <cstdlib>
#include <stdexcept>

#include "core/device_backend.h"

namespace filigree::testing_device {

inline constexpr Device kCuda{DeviceType::cuda, 0};
inline constexpr const char* kNoCuda =
    "no CUDA device (build with -DFILIGREE_CUDA=ON on a machine with a GPU, or with emulated)";

/// With FILIGREE_REQUIRE_CUDA in the environment no device is a failure.
inline bool has_cuda() {
  DeviceBackend* backend = cuda_backend();
  if (backend && backend->count() > 0) return true;
  if (std::getenv("FILIGREE_REQUIRE_CUDA")) throw std::runtime_error(kNoCuda);
  return false;
}

}  // namespace filigree::testing_device
