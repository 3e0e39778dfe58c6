// Runs: a set of columns as ascending, disjoint, non-touching half-open ranges.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace filigree {

struct Run {
  int32_t lo, hi;  ///< lo <= column < hi
  bool operator==(const Run&) const = default;
};
using Runs = std::vector<Run>;

/// Appends [lo, hi) to a set whose columns all lie below hi's start or touch it; empty ranges are
/// dropped, touching ones merged.
inline void append_run(Runs& runs, int64_t lo, int64_t hi) {
  if (lo >= hi) return;
  if (!runs.empty() && lo <= runs.back().hi) {
    runs.back().hi = std::max(runs.back().hi, static_cast<int32_t>(hi));
  } else {
    runs.push_back({static_cast<int32_t>(lo), static_cast<int32_t>(hi)});
  }
}
/// The union, intersection and difference of two sets. Cost O(runs of both).
void unite(std::span<const Run> a, std::span<const Run> b, Runs& out);
void intersect(std::span<const Run> a, std::span<const Run> b, Runs& out);
void subtract(std::span<const Run> a, std::span<const Run> b, Runs& out);
/// Number of columns.
int64_t size_of(const Runs& runs);

/// An empty set borrowed from its thread's pool, so that loops over rows allocate nothing.
class ScratchRuns {
 public:
  ScratchRuns();
  ~ScratchRuns();
  ScratchRuns(const ScratchRuns&) = delete;
  ScratchRuns& operator=(const ScratchRuns&) = delete;
  Runs& operator*() { return runs_; }

 private:
  Runs runs_;
};

}  // namespace filigree
