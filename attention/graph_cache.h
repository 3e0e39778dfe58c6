// Graphs of earlier batches, for patterns that depend on lengths alone. Private to attention.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <vector>

#include "attention/placement.h"

namespace filigree {

/// Keeps the graphs of the last batches, by (offsets, seed): as many as have kBytes together, and
/// the newest always. What the kernels have worked out about a graph, up to twice as much again, is
/// kept with it. Thread-safe.
class GraphCache {
 public:
  static constexpr int64_t kBytes = int64_t{32} << 20;

  /// Empty if they are not there.
  LayerGraphs find(const Tensor& offsets, uint64_t seed);
  void keep(const Tensor& offsets, uint64_t seed, const LayerGraphs& graphs);

 private:
  struct Entry {
    std::vector<int64_t> offsets;
    uint64_t seed;
    LayerGraphs graphs;
    int64_t bytes;
  };
  std::mutex mutex_;
  std::list<Entry> entries_;  // newest first
  int64_t bytes_ = 0;
};

}  // namespace filigree
