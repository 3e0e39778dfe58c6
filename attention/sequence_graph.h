// SequenceGraph: what the tokens of one sequence attend to. Batches, layers and heads share it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "attention/runs.h"

namespace filigree {

namespace kernels {
class SequenceSchedules;
}

/// The edges of one sequence of n tokens, in memory that grows with edges and tokens, never with
/// n^2. Query i sees the columns [lo_i, hi_i), its extra columns, and the global columns; each
/// counts once. A global row is simply a full interval. Columns are 0 .. n-1, wherever in a batch
/// the sequence stands. Immutable.
class SequenceGraph {
 public:
  struct Parts {
    std::vector<int32_t> lo, hi;       ///< (n); lo >= hi: no interval
    std::vector<int64_t> row_offsets;  ///< (n+1) into columns; empty if no row has extra columns
    std::vector<int32_t> columns;      ///< (E), ascending in a row; none in [lo, hi), none global
    std::vector<int32_t> globals;      ///< (G), ascending

    bool operator==(const Parts&) const = default;
  };

  /// Checks everything that a kernel relies on: ShapeError for sizes, DataError naming the row.
  /// Cost O(n + E log G).
  explicit SequenceGraph(Parts parts);

  /// Every token sees every token.
  static std::shared_ptr<const SequenceGraph> dense(int64_t length);
  /// From any rows: row(i, out) appends the columns of query i to the empty `out`. Chooses
  /// intervals, globals and extra columns: columns that every row sees become global, the run of a
  /// row with the most other columns becomes its interval.
  static std::shared_ptr<const SequenceGraph> from_rows(
      int64_t length, const std::function<void(int64_t i, Runs& out)>& row);
  /// Row i sees from left[i] tokens before it to right[i] behind it, cut off at the borders; each
  /// >= 0 (DataError). Intervals alone, 8 bytes a token. Cost O(n).
  static std::shared_ptr<const SequenceGraph> from_reaches(std::span<const int32_t> left,
                                                           std::span<const int32_t> right);
  /// The same edges with every column stored as an extra column (no intervals, no globals).
  std::shared_ptr<const SequenceGraph> as_csr() const;

  const Parts& parts() const { return parts_; }
  int64_t length() const { return static_cast<int64_t>(parts_.lo.size()); }
  /// No extra and no global columns.
  bool intervals_only() const { return parts_.columns.empty() && parts_.globals.empty(); }
  /// Extra columns of row i.
  std::span<const int32_t> extras(int64_t i) const {
    if (parts_.columns.empty()) return {};
    const int64_t* bound = parts_.row_offsets.data() + i;
    return {parts_.columns.data() + bound[0], static_cast<size_t>(bound[1] - bound[0])};
  }
  /// Ascending columns of row i, each plus `shift`, written to out (room for n); returns how many.
  int64_t row(int64_t i, int32_t* out, int32_t shift = 0) const;

  int64_t edges() const { return edges_; }  ///< every edge once
  int64_t empty_rows() const { return empty_rows_; }
  int64_t bytes() const;
  /// What the kernels have worked out about the graph.
  kernels::SequenceSchedules& schedules() const { return *schedules_; }

 private:
  struct Sound {};  // parts that were made here need no check
  SequenceGraph(Parts parts, Sound);
  void count();

  Parts parts_;
  int64_t edges_ = 0, empty_rows_ = 0;
  std::shared_ptr<kernels::SequenceSchedules> schedules_;
};

/// Graphs of some heads in some sequences.
using SequenceGraphs = std::vector<std::shared_ptr<const SequenceGraph>>;

}  // namespace filigree
