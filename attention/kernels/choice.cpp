#include "attention/kernels/choice.h"

#include <algorithm>
#include <cmath>

#include "attention/kernels/edge_blocks.h"
#include "attention/kernels/micro_gemm.h"

namespace filigree::kernels {

namespace {

/// A group's arrays, read row by row.
class Rows {
 public:
  Rows(const AttentionGraph& graph, int g)
      : lo(graph.group(g).lo.data<int32_t>()), hi(graph.group(g).hi.data<int32_t>()) {
    const HeadGraph& group = graph.group(g);
    if (group.columns.defined()) {
      bounds_ = group.row_offsets.data<int64_t>();
      columns_ = group.columns.data<int32_t>();
    }
    if (group.global_columns.defined()) {
      global_bounds_ = group.global_offsets.data<int64_t>();
      globals_ = group.global_columns.data<int32_t>();
    }
  }

  int64_t extras(int64_t i) const { return bounds_ ? bounds_[i + 1] - bounds_[i] : 0; }
  int64_t globals(int64_t b) const {
    return global_bounds_ ? global_bounds_[b + 1] - global_bounds_[b] : 0;
  }
  Run interval(int64_t i) const { return lo[i] < hi[i] ? Run{lo[i], hi[i]} : kNothing; }
  Run extra_span(int64_t i) const {
    return extras(i) == 0 ? kNothing : Run{columns_[bounds_[i]], columns_[bounds_[i + 1] - 1] + 1};
  }
  Run global_span(int64_t b) const {
    if (globals(b) == 0) return kNothing;
    return {globals_[global_bounds_[b]], globals_[global_bounds_[b + 1] - 1] + 1};
  }

  static constexpr Run kNothing{INT32_MAX, 0};
  static Run both(Run a, Run b) { return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)}; }
  static double size(Run run) { return run.lo < run.hi ? run.hi - run.lo : 0; }

 private:
  const int32_t *lo, *hi;
  const int64_t *bounds_ = nullptr, *global_bounds_ = nullptr;
  const int32_t *columns_ = nullptr, *globals_ = nullptr;
};

/// Tiles compute, for steps of kMicroRows rows, whole vectors of the keys that any of them sees.
void add_tiles(const AttentionGraph& graph, int g, bool hull, KernelWork& work) {
  constexpr int64_t kVector = 16;
  const Rows rows(graph, g);
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    const Run global = hull ? rows.global_span(b) : Rows::kNothing;
    for (int64_t r = offsets[b]; r < offsets[b + 1]; r += kMicroRows) {
      Run seen = Rows::kNothing;
      const int64_t end = std::min<int64_t>(r + kMicroRows, offsets[b + 1]);
      for (int64_t i = r; i < end; ++i) {
        seen = Rows::both(seen, rows.interval(i));
        if (hull) seen = Rows::both(Rows::both(seen, rows.extra_span(i)), global);
      }
      if (Rows::size(seen) == 0) continue;
      const int64_t from = (seen.lo - offsets[b]) / kVector * kVector;
      const int64_t to = (seen.hi - offsets[b] + kVector - 1) / kVector * kVector;
      work.pairs += static_cast<double>(kMicroRows * (to - from));
      work.tile_rows += static_cast<double>(end - r);
    }
  }
}

/// Blocks of kEdgeRows rows: their edges, and how many distinct columns these have.
void add_edges(const AttentionGraph& graph, int g, bool rest, KernelWork& work) {
  const Rows rows(graph, g);
  const int64_t* offsets = graph.offsets().data<int64_t>();
  double inside = 0, total = 0;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    const auto length = static_cast<double>(offsets[b + 1] - offsets[b]);
    for (int64_t first = offsets[b]; first < offsets[b + 1]; first += kEdgeRows) {
      const int64_t last = std::min(first + kEdgeRows, offsets[b + 1]);
      Run intervals = Rows::kNothing, span = Rows::kNothing;
      double scattered = 0, filled = 0;
      for (int64_t i = first; i < last; ++i) {
        intervals = Rows::both(intervals, rows.interval(i));
        span = Rows::both(span, rows.extra_span(i));
        filled += Rows::size(rows.interval(i));
        scattered += static_cast<double>(rows.extras(i));
      }
      inside += filled;
      double columns = static_cast<double>(rows.globals(b));
      if (scattered > 0) {
        columns += Rows::size(span) * (1 - std::exp(-scattered / Rows::size(span)));
      }
      // A block of intervals that lie far apart has no more columns than edges.
      if (!rest) columns += std::min(filled, Rows::size(intervals)) * (1 - columns / length);
      if (columns == 0) continue;
      total += std::min(columns, length);
      work.edge_rows += static_cast<double>(last - first);
    }
  }
  work.edges += static_cast<double>(graph.group_edges(g)) - (rest ? inside : 0);
  work.columns += total;
}

}  // namespace

KernelWork work_of(const AttentionGraph& graph, int g, AttentionKernel kernel) {
  KernelWork work;
  if (kernel == AttentionKernel::tiles) {
    add_tiles(graph, g, !graph.group(g).intervals_only(), work);
  } else if (kernel == AttentionKernel::edges) {
    add_edges(graph, g, false, work);
  } else {
    add_tiles(graph, g, false, work);
    if (!graph.group(g).intervals_only()) add_edges(graph, g, true, work);
    work.edge_rows = 0;  // what a row costs anyhow is in tile_rows
  }
  return work;
}

AttentionKernel choose_kernel(const AttentionGraph& graph, int g, const KernelCosts& costs) {
  AttentionKernel best = AttentionKernel::tiles;
  double least = INFINITY;
  for (const AttentionKernel kernel : kChoices) {
    const double time = work_of(graph, g, kernel).nanoseconds(costs);
    if (time < least) {
      least = time;
      best = kernel;
    }
  }
  return best;
}

}  // namespace filigree::kernels
