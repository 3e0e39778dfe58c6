// How the CPU kernels walk a sequence and a batch, and what devices hold of them: made once, shared
// by layers, forward and backward. Private to kernels.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <tuple>
#include <vector>

#include "attention/graph.h"
#include "attention/kernels/always_on.h"
#include "attention/kernels/device_choice.h"
#include "attention/kernels/device_graph.h"
#include "attention/kernels/edge_blocks.h"
#include "attention/kernels/sparse_attention.h"

namespace filigree::kernels {

/// Rows of one forward task; a multiple of kEdgeRows.
inline constexpr int64_t kChunkRows = 256;

/// Columns [begin, end).
struct Span {
  int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
};

/// Row i sees [lo_i, hi_i) but its holes.
struct Intervals {
  const int32_t *lo = nullptr, *hi = nullptr;
  std::vector<int64_t> hole_offsets;  // (n+1), or empty: no holes
  std::vector<int32_t> holes;         // ascending in a row
  bool masked = false;                // some row sees less than its sequence

  /// The keys that rows [first, last) span.
  Span keys_of(int64_t first, int64_t last) const;
  /// Holes of row i in [first, last).
  std::span<const int32_t> holes_between(int64_t i, int64_t first, int64_t last) const {
    if (hole_offsets.empty()) return {};
    const int32_t* begin = holes.data() + hole_offsets[static_cast<size_t>(i)];
    const int32_t* end = holes.data() + hole_offsets[static_cast<size_t>(i) + 1];
    begin = std::lower_bound(begin, end, static_cast<int32_t>(first));
    return {begin, std::lower_bound(begin, end, static_cast<int32_t>(last))};
  }
};

/// Rows of a sequence whose part of the backward pass is one task a head, and the keys they see.
struct BackwardPart {
  int64_t first = 0, last = 0;
  Span keys;
};
/// Sequences of at least so many tokens are divided into so many parts of about as many edges each:
/// a number that does not depend on the threads, so that neither do sums; memory stays linear.
inline constexpr int64_t kDividedLength = 2048, kParts = 4;

/// One sequence under one kernel; rows and columns are counted from its first token. Points into
/// its graph, and lives no longer than that.
struct SequenceSchedule {
  AttentionKernel kernel = AttentionKernel::rows;  // what was chosen; never automatic
  Intervals intervals;                             // tiles and mixed
  std::vector<int32_t> lo, hi;                     // where intervals are not those of the graph
  std::vector<EdgeBlock> blocks;                   // edges and mixed, in order
  std::vector<BackwardPart> parts;                 // in order, at least one
  int64_t size = 0;                                // bytes of all that, once it is made

  int64_t bytes() const { return size; }
  /// The blocks of rows [first, last); first is a multiple of kEdgeRows.
  std::span<const EdgeBlock> blocks_of(int64_t first, int64_t last) const {
    if (blocks.empty()) return {};
    return {blocks.data() + first / kEdgeRows, blocks.data() + (last + kEdgeRows - 1) / kEdgeRows};
  }
  bool uses_tiles() const {
    return kernel == AttentionKernel::tiles || kernel == AttentionKernel::mixed;
  }
};

/// Schedules a sequence for the wanted kernel; an automatic choice goes by the costs for heads of
/// `dim` elements. Cost O(n + edges).
std::shared_ptr<const SequenceSchedule> make_schedule(const SequenceGraph& graph,
                                                      AttentionKernel wanted, DType dtype,
                                                      int64_t dim);

/// Rows [first, last) of a sequence, counted from its first token.
struct RowChunk {
  int64_t sequence, first, last;
};

/// A batch: the schedules of its sequences, and the tasks of the forward pass.
struct BatchSchedule {
  std::vector<std::shared_ptr<const SequenceSchedule>> sequences;  // (groups, B)
  std::vector<RowChunk> chunks;  // at most kChunkRows rows, in order
  int64_t batch = 0;             // B
  int64_t longest = 0;           // sequence

  int64_t bytes() const {
    return static_cast<int64_t>(sequences.size() * sizeof(sequences[0]) +
                                chunks.size() * sizeof(RowChunk));
  }
  const SequenceSchedule& at(int group, int64_t b) const {
    return *sequences[static_cast<size_t>(group * batch + b)];
  }
};

/// Schedules a batch: what its sequences do not have yet is made, on all threads.
std::shared_ptr<const BatchSchedule> make_schedule(const AttentionGraph& graph,
                                                   AttentionKernel wanted, DType dtype,
                                                   int64_t dim);

/// What make_schedule() made of one graph, by its arguments.
template <class Graph, class Made>
class ScheduleCache {
 public:
  std::shared_ptr<const Made> get(const Graph& graph, AttentionKernel wanted, DType dtype,
                                  int64_t dim) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Made>& made = made_[key_of(wanted, dtype, dim)];
    if (!made) made = make_schedule(graph, wanted, dtype, dim);
    return made;
  }
  /// True if get() has nothing to make.
  bool has(AttentionKernel wanted, DType dtype, int64_t dim) const {
    const std::lock_guard lock(mutex_);
    return made_.contains(key_of(wanted, dtype, dim));
  }
  /// Memory of what was made.
  int64_t bytes() const {
    const std::lock_guard lock(mutex_);
    int64_t total = 0;
    for (const auto& [arguments, made] : made_) total += made->bytes();
    return total;
  }

 private:
  using Key = std::tuple<AttentionKernel, DType, int64_t>;
  /// Sizes matter only to an automatic choice.
  static Key key_of(AttentionKernel wanted, DType dtype, int64_t dim) {
    const bool chosen = wanted == AttentionKernel::automatic;
    return {wanted, chosen ? dtype : DType::f32, chosen ? dim : 0};
  }

  mutable std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Made>> made_;
};
class SequenceSchedules final : public ScheduleCache<SequenceGraph, SequenceSchedule> {
 public:
  KeptTables<DeviceTiles> tiles;  ///< for devices
  KeptTables<DeviceEdges> edges;
  CountedTiles counts;
  int64_t bytes() const { return ScheduleCache::bytes() + tiles.bytes() + edges.bytes(); }
};
class BatchSchedules final : public ScheduleCache<AttentionGraph, BatchSchedule> {
 public:
  DeviceCache<DeviceTileBatch, make_device_tiles> tiles;
  DeviceCache<DeviceEdgeBatch, make_device_edges> edges;
  DeviceFlags always;
  DeviceChoices choices;
};

}  // namespace filigree::kernels
