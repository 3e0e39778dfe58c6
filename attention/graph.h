// AttentionGraph: what attends to what, in memory that grows with edges and tokens, never with n^2.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "attention/runs.h"
#include "core/tensor.h"

namespace filigree {

/// The edges of the heads that share a graph, over T packed tokens. Row i sees the columns
/// [lo_i, hi_i), its extra columns, and the global columns of its sequence; each column counts
/// once. A global row is simply a full interval. All columns are packed token indices of i's own
/// sequence.
struct HeadGraph {
  Tensor lo, hi;          ///< (T) i32
  Tensor row_offsets;     ///< (T+1) i64 into columns; undefined if no row has extra columns
  Tensor columns;         ///< (E) i32, ascending in a row; none in [lo, hi), none global
  Tensor global_offsets;  ///< (B+1) i64 into global_columns; undefined if there are none
  Tensor global_columns;  ///< (G) i32, ascending

  /// Intervals alone: no extra and no global columns.
  bool intervals_only() const { return !columns.defined() && !global_columns.defined(); }
  int64_t bytes() const;
};

namespace kernels {
class ScheduleCache;
}

/// Graphs of all heads of one layer over one packed batch. Immutable.
class AttentionGraph {
 public:
  /// offsets i64 (B+1); group_of_head has an index into groups for every head. Checks everything a
  /// kernel relies on (DataError naming the fault). Cost O(T + edges outside intervals).
  AttentionGraph(Tensor offsets, std::vector<HeadGraph> groups, std::vector<int> group_of_head);

  /// Every token sees every token of its sequence.
  static AttentionGraph dense(const Tensor& offsets, int heads);
  /// From any rows: row(group, i) gives the columns of packed row i. Chooses intervals, globals and
  /// extra columns: columns that every row of a sequence sees become global, the run of a row with
  /// the most other columns becomes its interval. `row` is called from several threads.
  static AttentionGraph from_rows(
      const Tensor& offsets, int groups, std::vector<int> group_of_head,
      const std::function<void(int group, int64_t b, int64_t i, Runs& out)>& row);
  /// A reach a group and token: row i sees from left(g, i) tokens before it to right(g, i) behind
  /// it, cut off at the borders of its sequence. left, right (G, T) i32, >= 0 (DataError).
  /// Intervals alone, 8 bytes a group and token. Cost O(G T).
  static AttentionGraph from_reaches(const Tensor& offsets, const Tensor& left, const Tensor& right,
                                     std::vector<int> group_of_head);
  /// The same edges with every column stored as an extra column (no intervals, no globals).
  AttentionGraph as_csr() const;

  const Tensor& offsets() const { return offsets_; }
  int64_t tokens() const { return tokens_; }
  int64_t sequences() const { return offsets_.numel() - 1; }
  int heads() const { return static_cast<int>(group_of_head_.size()); }
  int groups() const { return static_cast<int>(groups_.size()); }
  const HeadGraph& group(int g) const { return groups_[static_cast<size_t>(g)]; }
  int group_of_head(int head) const { return group_of_head_[static_cast<size_t>(head)]; }

  /// Ascending columns of row i (of sequence b) in group g, written to out (room for the sequence's
  /// length); returns how many.
  int64_t row(int g, int64_t b, int64_t i, int32_t* out) const;
  /// The same for inspection; finds the sequence itself.
  std::vector<int32_t> row(int g, int64_t i) const;

  /// Edges of one head; every edge once.
  int64_t edges(int head) const { return edges_[static_cast<size_t>(group_of_head(head))]; }
  /// Edges of one group.
  int64_t group_edges(int g) const { return edges_[static_cast<size_t>(g)]; }
  /// Sum over sequences of n^2.
  int64_t valid_pairs() const { return valid_pairs_; }
  /// Mean over heads of edges / valid pairs; 0 for an empty batch.
  double density() const;
  /// Rows without any column, over all heads.
  int64_t empty_rows() const;
  int64_t bytes() const;
  /// What the kernels have worked out about the graph; shared by its copies.
  kernels::ScheduleCache& schedules() const { return *schedules_; }

 private:
  void check() const;
  void count();

  Tensor offsets_;
  int64_t tokens_ = 0, valid_pairs_ = 0;
  std::vector<HeadGraph> groups_;
  std::vector<int> group_of_head_;
  std::vector<int64_t> edges_, empty_rows_;  // a group
  std::shared_ptr<kernels::ScheduleCache> schedules_;
};

}  // namespace filigree
