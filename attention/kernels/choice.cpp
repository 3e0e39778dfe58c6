#include "attention/kernels/choice.h"

#include <algorithm>
#include <cmath>

#include "attention/kernels/edge_blocks.h"
#include "attention/kernels/micro_gemm.h"

namespace filigree::kernels {

namespace {

constexpr Run kNothing{INT32_MAX, 0};
Run both(Run a, Run b) { return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)}; }
double size(Run run) { return run.lo < run.hi ? run.hi - run.lo : 0; }

Run interval_of(const SequenceGraph& graph, int64_t i) {
  const auto at = static_cast<size_t>(i);
  const Run interval{graph.parts().lo[at], graph.parts().hi[at]};
  return interval.lo < interval.hi ? interval : kNothing;
}
Run span_of(std::span<const int32_t> columns) {
  return columns.empty() ? kNothing : Run{columns.front(), columns.back() + 1};
}

/// Tiles compute, for steps of kMicroRows rows, whole vectors of the keys that any of them sees.
void add_tiles(const SequenceGraph& graph, bool hull, KernelWork& work) {
  constexpr int64_t kVector = 16;
  const Run global = hull ? span_of(graph.parts().globals) : kNothing;
  for (int64_t r = 0; r < graph.length(); r += kMicroRows) {
    Run seen = kNothing;
    const int64_t end = std::min<int64_t>(r + kMicroRows, graph.length());
    for (int64_t i = r; i < end; ++i) {
      seen = both(seen, interval_of(graph, i));
      if (hull) seen = both(both(seen, span_of(graph.extras(i))), global);
    }
    if (size(seen) == 0) continue;
    const int64_t from = seen.lo / kVector * kVector;
    const int64_t to = (seen.hi + kVector - 1) / kVector * kVector;
    work.pairs += static_cast<double>(kMicroRows * (to - from));
    work.tile_rows += static_cast<double>(end - r);
  }
}

/// Blocks of kEdgeRows rows: their edges, and how many distinct columns these have.
void add_edges(const SequenceGraph& graph, bool rest, KernelWork& work) {
  double inside = 0, total = 0;
  const auto length = static_cast<double>(graph.length());
  for (int64_t first = 0; first < graph.length(); first += kEdgeRows) {
    const int64_t last = std::min(first + kEdgeRows, graph.length());
    Run intervals = kNothing, span = kNothing;
    double scattered = 0, filled = 0;
    for (int64_t i = first; i < last; ++i) {
      const Run interval = interval_of(graph, i);
      const std::span<const int32_t> extras = graph.extras(i);
      intervals = both(intervals, interval);
      span = both(span, span_of(extras));
      filled += size(interval);
      scattered += static_cast<double>(extras.size());
    }
    inside += filled;
    auto columns = static_cast<double>(graph.parts().globals.size());
    if (scattered > 0) columns += size(span) * (1 - std::exp(-scattered / size(span)));
    // A block of intervals that lie far apart has no more columns than edges.
    if (!rest) columns += std::min(filled, size(intervals)) * (1 - columns / length);
    if (columns == 0) continue;
    total += std::min(columns, length);
    work.edge_rows += static_cast<double>(last - first);
  }
  work.edges += static_cast<double>(graph.edges()) - (rest ? inside : 0);
  work.columns += total;
}

}  // namespace

KernelWork work_of(const SequenceGraph& graph, AttentionKernel kernel) {
  KernelWork work;
  if (kernel == AttentionKernel::tiles) {
    add_tiles(graph, !graph.intervals_only(), work);
  } else if (kernel == AttentionKernel::edges) {
    add_edges(graph, false, work);
  } else {
    add_tiles(graph, false, work);
    if (!graph.intervals_only()) add_edges(graph, true, work);
    work.edge_rows = 0;  // what a row costs anyhow is in tile_rows
  }
  return work;
}

KernelWork work_of(const AttentionGraph& graph, int g, AttentionKernel kernel) {
  KernelWork work;
  for (int64_t b = 0; b < graph.sequences(); ++b) work += work_of(graph.sequence(g, b), kernel);
  return work;
}

AttentionKernel choose_kernel(const SequenceGraph& graph, const KernelCosts& costs) {
  AttentionKernel best = AttentionKernel::tiles;
  double least = INFINITY;
  for (const AttentionKernel kernel : kChoices) {
    const double time = work_of(graph, kernel).nanoseconds(costs);
    if (time < least) {
      least = time;
      best = kernel;
    }
  }
  return best;
}

}  // namespace filigree::kernels
