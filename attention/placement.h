// AttentionPlan: which pattern holds in which layer and head, and the graphs of a batch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/graph.h"
#include "attention/pattern.h"

namespace filigree {

/// A packed batch of sequences as patterns see it. Spans may be empty (see SequenceView).
struct SequenceBatch {
  Tensor offsets;                    ///< (B+1) i64
  std::span<const int32_t> ids;      ///< (T)
  std::span<const uint8_t> special;  ///< (T)
  std::span<const int64_t> samples;  ///< (B)
};

/// Graphs of one batch: one a layer. Layers with equal graphs share the pointer.
using LayerGraphs = std::vector<std::shared_ptr<const AttentionGraph>>;

/// A pattern in some layers and heads; the others are dense.
class AttentionPlan {
 public:
  /// layers: "all", "none", "first:k", "last:k", "only:l" (from 0) or a list "0,2"; heads: "all" or
  /// a list. Throws ConfigError.
  AttentionPlan(std::string_view pattern, std::string_view layers, std::string_view heads,
                int layer_count, int head_count);

  /// The graphs of a batch. Random edges are keyed by (seed, layer, head), for per=step also by
  /// step.
  LayerGraphs build(const SequenceBatch& batch, uint64_t seed, uint64_t step) const;

  bool sparse(int layer, int head) const;
  /// "neighbour:8 in layers 2-3 of 4, all heads", for logs.
  std::string describe() const;
  std::string pattern() const { return pattern_.text(); }

 private:
  std::shared_ptr<const AttentionGraph> build_layer(const SequenceBatch& batch, uint64_t seed,
                                                    uint64_t step, int layer) const;

  Pattern pattern_;
  std::vector<bool> layers_, heads_;
};

/// Adds up edges and pairs over batches: the exact density of a split, a layer.
class DensityMeter {
 public:
  void add(const LayerGraphs& graphs);
  /// Density of a layer; of all layers in the mean.
  double layer(size_t l) const;
  double mean() const;
  size_t layers() const { return edges_.size(); }
  /// Rows without any column.
  int64_t empty_rows() const { return empty_rows_; }

 private:
  std::vector<double> edges_;  // summed over heads, divided by heads
  double pairs_ = 0;
  int64_t empty_rows_ = 0;
};

}  // namespace filigree
