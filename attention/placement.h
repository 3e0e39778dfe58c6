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
  Tensor offsets;                                                 ///< (B+1) i64
  std::span<const int32_t> ids;                                   ///< (T)
  std::span<const uint8_t> special;                               ///< (T)
  std::span<const int64_t> samples;                               ///< (B)
  std::span<const int32_t> words = {}, heads = {}, classes = {};  ///< (T)
  std::span<const int32_t> links = {};                            ///< (K, 2), see SequenceView
  std::span<const int64_t> link_offsets = {};                     ///< (B+1), empty without links
};

/// Sequence b of a batch. The vectors must outlive the view.
SequenceView view_of(const SequenceBatch& batch, int64_t b, const TokenVectors* vectors = nullptr);

struct PlacementRule;
class GraphCache;

/// Graphs of one batch: one a layer. Layers with equal graphs share the pointer.
using LayerGraphs = std::vector<std::shared_ptr<const AttentionGraph>>;

/// Patterns in some layers and heads; the others are dense.
class AttentionPlan {
 public:
  /// layers, heads: "all", "none", "first:k", "last:k", "only:l" (from 0) or a list "0,2-4". The
  /// pattern is one, or several rules "PATTERN @ layers=0-1 heads=0,2; PATTERN @ ..", where a rule
  /// that does not name its layers or heads has those of the arguments. Throws ConfigError, also if
  /// two rules choose the same layer and head.
  AttentionPlan(std::string_view pattern, std::string_view layers, std::string_view heads,
                int layer_count, int head_count);

  /// The graphs of a batch. Those of a sequence are made once and then found again wherever it has
  /// what they depend on: the same length (windows, random), trees (syntax), ids (lexical) ..; see
  /// GraphCache. Random edges are keyed by (seed, layer, head), for per=step also by step, and so
  /// made anew. Throws DataError if the batch lacks what a pattern needs, ConfigError if
  /// needs_match(). Cost of sequences that are found: O(what the patterns read + heads).
  LayerGraphs build(const SequenceBatch& batch, uint64_t seed, uint64_t step) const;

  /// Throws DataError unless the batch has what the patterns need. Cost: what patterns do once a
  /// sequence.
  void expect_data(const SequenceBatch& batch) const;

  bool sparse(int layer, int head) const { return rule_at(layer, head) >= 0; }
  /// True if a rule has a "match:density=" that is not solved yet (see match.h).
  bool needs_match() const;
  /// True if a pattern needs token vectors, which are to be set before build().
  bool needs_vectors() const;
  void set_vectors(std::shared_ptr<const TokenVectors> vectors);
  const std::shared_ptr<const TokenVectors>& vectors() const { return vectors_; }
  /// "neighbour:8 in layers 2-3 of 4, all heads", for logs.
  std::string describe() const;
  /// The rules' text, which gives the same plan again with the same layers and heads.
  std::string pattern() const;
  const std::vector<PlacementRule>& rules() const { return *rules_; }

 private:
  /// Heads of some layers that have the same edges.
  struct Slot {
    int rule = -1;            ///< -1: dense
    int layer = 0, head = 0;  ///< that random numbers are keyed by
  };
  /// The rule of a layer and head, -1 where they are dense.
  int rule_at(int layer, int head) const;
  void make_slots();
  /// The graphs of sequences, a slot each; the numbers of those to make in `wanted`.
  void make_graphs(std::span<const SequenceView> views, std::span<const size_t> wanted,
                   uint64_t seed, uint64_t step,
                   std::vector<std::shared_ptr<const SequenceGraphs>>& graphs) const;

  std::shared_ptr<const std::vector<PlacementRule>> rules_;
  int layer_count_, head_count_;
  std::vector<Slot> slots_;
  std::vector<std::vector<int>> slot_at_;  // (layers, heads)
  unsigned reads_ = kReadsNothing;         // all rules together
  std::shared_ptr<GraphCache> cache_;
  std::shared_ptr<const TokenVectors> vectors_;
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
