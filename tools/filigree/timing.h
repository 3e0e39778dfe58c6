// Times of work, for benchmarks.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/device_backend.h"

namespace filigree {

template <class Work>
double milliseconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Milliseconds until the device has done it.
template <class Work>
double milliseconds_on(Device device, Work work) {
  return milliseconds([&] {
    work();
    synchronize(device);
  });
}

/// The q-th quantile, q in [0, 1], of at least one number.
inline double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace filigree
