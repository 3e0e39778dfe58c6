// SequenceGraph::from_rows(): rows of any columns split into intervals, globals and extra columns.
#include <algorithm>
#include <span>

#include "attention/sequence_graph.h"

namespace filigree {

namespace {

/// Splits the rows of sequences, one at a time; keeps its memory between them.
class RowSplitter {
 public:
  template <class RowOf>
  SequenceGraph::Parts split(int64_t length, const RowOf& row_of) {
    const auto n = static_cast<size_t>(length);
    runs_.clear();
    bounds_.assign(1, 0);
    bounds_.reserve(n + 1);
    bool several = false;
    for (size_t i = 0; i < n; ++i) {
      row_.clear();
      row_of(static_cast<int64_t>(i), row_);
      several |= row_.size() > 1;
      runs_.insert(runs_.end(), row_.begin(), row_.end());
      bounds_.push_back(runs_.size());
    }
    SequenceGraph::Parts parts;
    parts.lo.resize(n);
    parts.hi.resize(n);
    common_.clear();
    if (several) {
      find_common(n);
      parts.row_offsets.reserve(n + 1);
      parts.row_offsets.push_back(0);
    }
    for (const Run& run : common_) append_columns(parts.globals, run);
    for (size_t i = 0; i < n; ++i) {
      const std::span<const Run> runs = row(i);
      const Run longest = several ? add_row(runs, parts) : runs.empty() ? Run{0, 0} : runs[0];
      parts.lo[i] = longest.lo;
      parts.hi[i] = longest.hi;
    }
    return parts;
  }

 private:
  static void append_columns(std::vector<int32_t>& columns, Run run) {
    for (int32_t column = run.lo; column < run.hi; ++column) columns.push_back(column);
  }

  /// Columns that every row of the sequence sees.
  void find_common(size_t n) {
    common_.assign(row(0).begin(), row(0).end());
    for (size_t i = 1; i < n && !common_.empty(); ++i) {
      intersect(common_, row(i), scratch_);
      common_.swap(scratch_);
    }
  }

  /// Adds the row's extra columns to `parts`; returns its interval.
  Run add_row(std::span<const Run> runs, SequenceGraph::Parts& parts) {
    std::span<const Run> rest = runs;
    if (!common_.empty()) {
      subtract(runs, common_, scratch_);
      rest = scratch_;
    }
    // A run that is global through and through would be stored twice: what counts is the rest.
    Run longest{0, 0};
    int64_t most = 0;
    auto piece = rest.begin();
    for (const Run& run : runs) {
      int64_t beyond = 0;
      for (; piece != rest.end() && piece->lo < run.hi; ++piece) beyond += piece->hi - piece->lo;
      if (beyond > most) {
        most = beyond;
        longest = run;
      }
    }
    for (const Run& run : rest) {
      if (run.lo < longest.lo || run.lo >= longest.hi) append_columns(parts.columns, run);
    }
    parts.row_offsets.push_back(static_cast<int64_t>(parts.columns.size()));
    return longest;
  }

  std::span<const Run> row(size_t i) const {
    return std::span(runs_).subspan(bounds_[i], bounds_[i + 1] - bounds_[i]);
  }

  Runs runs_;  // of all rows, one after the other
  std::vector<size_t> bounds_;
  Runs row_, common_, scratch_;
};

}  // namespace

std::shared_ptr<const SequenceGraph> SequenceGraph::from_rows(
    int64_t length, const std::function<void(int64_t i, Runs& out)>& row) {
  thread_local RowSplitter splitter;
  return std::shared_ptr<const SequenceGraph>(
      new SequenceGraph(splitter.split(length, row), Sound{}));
}

}  // namespace filigree
