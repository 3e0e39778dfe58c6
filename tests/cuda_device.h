// The CUDA device of the tests, if there is one: a GPU, or the emulation (tests/cuda_on_cpu).
#pragma once

#include "core/device_backend.h"

namespace filigree::testing_device {

inline constexpr Device kCuda{DeviceType::cuda, 0};
inline constexpr const char* kNoCuda =
    "no CUDA device (build with -DFILIGREE_CUDA=ON on a machine with a GPU, or with emulated)";

inline bool has_cuda() {
  DeviceBackend* backend = cuda_backend();
  return backend && backend->count() > 0;
}

}  // namespace filigree::testing_device
