// The part of CUB that Filigree uses, on the CPU: see cuda_runtime.h.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "cuda_runtime.h"

namespace cub {

struct DeviceRadixSort {
  /// Stable, as CUB's.
  template <class Key, class Value>
  static cudaError_t SortPairs(void* scratch, size_t& bytes, const Key* keys, Key* sorted_keys,
                               const Value* values, Value* sorted_values, int count, int = 0,
                               int = 8 * sizeof(Key), cudaStream_t = nullptr) {
    if (!scratch) {
      bytes = 1;
      return cudaSuccess;
    }
    const cuda_on_cpu::DeviceAccess access;
    std::vector<int> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return keys[a] < keys[b]; });
    for (size_t i = 0; i < order.size(); ++i) {
      sorted_keys[i] = keys[order[i]];
      sorted_values[i] = values[order[i]];
    }
    return cudaSuccess;
  }
};

}  // namespace cub
