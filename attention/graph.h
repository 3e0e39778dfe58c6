// AttentionGraph: what attends to what in a packed batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "attention/attention_use.h"
#include "attention/sequence_graph.h"
#include "core/tensor.h"

namespace filigree {

namespace kernels {
class BatchSchedules;
}

/// Throws DataError unless the bounds of a packed batch's sequences, i64 (B+1), ascend from 0.
void expect_offsets(const Tensor& offsets);

/// Graphs of all heads of one layer over one packed batch: for every group of heads that share
/// their edges, the graph of each sequence. Graphs of sequences may be shared within the batch, and
/// with other batches and layers. Immutable.
class AttentionGraph {
 public:
  /// offsets i64 (B+1); groups[g][b] is over as many tokens as sequence b has; group_of_head has an
  /// index into groups for every head. Throws DataError. Cost O(groups B).
  AttentionGraph(Tensor offsets, std::vector<SequenceGraphs> groups,
                 std::vector<int> group_of_head);

  /// Every token sees every token of its sequence.
  static AttentionGraph dense(const Tensor& offsets, int heads);
  /// From any rows: row(group, b, i, out) gives the columns of packed row i of sequence b, as
  /// packed indices of tokens of its sequence (DataError). Called from several threads.
  static AttentionGraph from_rows(
      const Tensor& offsets, int groups, std::vector<int> group_of_head,
      const std::function<void(int group, int64_t b, int64_t i, Runs& out)>& row);
  /// A reach a group and token: see SequenceGraph. left, right (G, T) i32.
  static AttentionGraph from_reaches(const Tensor& offsets, const Tensor& left, const Tensor& right,
                                     std::vector<int> group_of_head);
  /// The same edges with every column stored as an extra column (no intervals, no globals).
  AttentionGraph as_csr() const;

  const Tensor& offsets() const { return offsets_; }
  int64_t tokens() const { return tokens_; }
  int64_t sequences() const { return offsets_.numel() - 1; }
  int heads() const { return static_cast<int>(group_of_head_.size()); }
  int groups() const { return static_cast<int>(groups_.size()); }
  int group_of_head(int head) const { return group_of_head_[static_cast<size_t>(head)]; }
  /// The graph of sequence b in group g.
  const SequenceGraph& sequence(int g, int64_t b) const { return *shared_sequence(g, b); }
  const std::shared_ptr<const SequenceGraph>& shared_sequence(int g, int64_t b) const {
    return groups_[static_cast<size_t>(g)][static_cast<size_t>(b)];
  }

  /// Ascending packed columns of packed row i (of sequence b) in group g, written to out (room for
  /// the sequence's length); returns how many.
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
  /// Memory of the graphs of group g, each that is shared counted once.
  int64_t group_bytes(int g) const;
  /// Works out what this device's kernel needs of the batch and puts it there, so that the first
  /// pass need not; nothing on the CPU, and where what is computed is another graph, that is drawn.
  void prepare_for(Device device, const AttentionUse& use) const;
  /// What the kernels have worked out about the batch; shared by copies of the graph.
  kernels::BatchSchedules& schedules() const { return *schedules_; }

 private:
  Tensor offsets_;
  int64_t tokens_ = 0, valid_pairs_ = 0;
  std::vector<SequenceGraphs> groups_;
  std::vector<int> group_of_head_;
  std::vector<int64_t> edges_, empty_rows_;  // a group
  std::shared_ptr<kernels::BatchSchedules> schedules_;
};

}  // namespace filigree
