#include "attention/kernels/schedule.h"

#include <algorithm>
#include <span>
#include <unordered_set>

#include "attention/kernels/choice.h"
#include "core/parallel.h"

namespace filigree::kernels {

namespace {

/// Row i without its interval: its extra columns, and the global ones that the interval lacks.
int64_t rest_of_row(const SequenceGraph& graph, int64_t i, int32_t* out) {
  const int32_t lo = graph.parts().lo[static_cast<size_t>(i)];
  const int32_t hi = graph.parts().hi[static_cast<size_t>(i)];
  const std::span<const int32_t> extras = graph.extras(i);
  auto extra = extras.begin();
  int32_t* end = out;
  for (const int32_t global : graph.parts().globals) {
    if (global >= lo && global < hi) continue;
    while (extra != extras.end() && *extra < global) *end++ = *extra++;
    *end++ = global;
  }
  return std::copy(extra, extras.end(), end) - out;
}

/// Each row from its first to its last column, and what lies between and is no edge.
void make_hull(const SequenceGraph& graph, SequenceSchedule& schedule) {
  const auto n = static_cast<size_t>(graph.length());
  schedule.lo.assign(n, 0);
  schedule.hi.assign(n, 0);
  Intervals& intervals = schedule.intervals;
  intervals.hole_offsets.assign(1, 0);
  std::vector<int32_t> row(n);
  for (size_t i = 0; i < n; ++i) {
    const auto count = static_cast<size_t>(graph.row(static_cast<int64_t>(i), row.data()));
    if (count > 0) {
      schedule.lo[i] = row[0];
      schedule.hi[i] = row[count - 1] + 1;
      for (size_t e = 1; e < count; ++e) {
        for (int32_t j = row[e - 1] + 1; j < row[e]; ++j) intervals.holes.push_back(j);
      }
    }
    intervals.hole_offsets.push_back(static_cast<int64_t>(intervals.holes.size()));
  }
  intervals.lo = schedule.lo.data();
  intervals.hi = schedule.hi.data();
}

bool is_masked(const Intervals& intervals, int64_t length) {
  if (!intervals.holes.empty()) return true;
  for (int64_t i = 0; i < length; ++i) {
    if (intervals.lo[i] != 0 || intervals.hi[i] != length) return true;
  }
  return false;
}

void make_blocks(const SequenceGraph& graph, SequenceSchedule& schedule) {
  const int64_t length = graph.length();
  const bool rest = schedule.kernel == AttentionKernel::mixed;
  schedule.blocks.resize(static_cast<size_t>((length + kEdgeRows - 1) / kEdgeRows));
  parallel_for(static_cast<int64_t>(schedule.blocks.size()), 4, [&](int64_t at) {
    const int64_t first = at * kEdgeRows;
    schedule.blocks[static_cast<size_t>(at)] = make_edge_block(
        first, std::min(first + kEdgeRows, length), length, [&](int64_t i, int32_t* out) {
          return rest ? rest_of_row(graph, i, out) : graph.row(i, out);
        });
  });
}

/// Where the parts of a sequence end: whole blocks of edges, about as many edges in each part.
std::vector<int64_t> part_ends(const SequenceGraph& graph) {
  const int64_t length = graph.length();
  if (length < kDividedLength) return {length};
  std::vector<int64_t> edges{0};  // up to the end of every step; each row counts 1 besides
  for (int64_t i = 0; i < length; ++i) {
    if (i % kEdgeRows == 0) edges.push_back(edges.back());
    const auto at = static_cast<size_t>(i);
    edges.back() += 1 + std::max(0, graph.parts().hi[at] - graph.parts().lo[at]) +
                    static_cast<int64_t>(graph.extras(i).size());
  }
  std::vector<int64_t> ends;
  const auto steps = static_cast<int64_t>(edges.size()) - 1;
  int64_t step = 0;
  for (int64_t part = 1; part < kParts; ++part) {
    do {
      ++step;
    } while (step < steps - (kParts - part) &&
             edges[static_cast<size_t>(step)] * kParts < edges.back() * part);
    ends.push_back(step * kEdgeRows);
  }
  ends.push_back(length);
  return ends;
}

void make_parts(const SequenceGraph& graph, SequenceSchedule& schedule) {
  // The rows kernel, a reference, does a sequence at once.
  const auto ends =
      schedule.kernel == AttentionKernel::rows ? std::vector{graph.length()} : part_ends(graph);
  int64_t first = 0;
  for (const int64_t last : ends) {
    BackwardPart part{first, last, {0, graph.length()}};
    if (ends.size() > 1) {
      part.keys = schedule.uses_tiles() ? schedule.intervals.keys_of(first, last) : Span{};
      for (const EdgeBlock& block : schedule.blocks_of(first, last)) {
        if (block.columns.empty()) continue;
        if (part.keys.empty()) part.keys = {INT64_MAX, 0};
        part.keys.begin = std::min<int64_t>(part.keys.begin, block.columns.front());
        part.keys.end = std::max<int64_t>(part.keys.end, block.columns.back() + 1);
      }
    }
    schedule.parts.push_back(part);
    first = last;
  }
}

int64_t size_of(const SequenceSchedule& schedule) {
  const auto size = [](const auto& items) {
    return static_cast<int64_t>(items.size() * sizeof(items[0]));
  };
  int64_t total = size(schedule.lo) + size(schedule.hi) + size(schedule.intervals.hole_offsets) +
                  size(schedule.intervals.holes) + size(schedule.blocks) + size(schedule.parts);
  for (const EdgeBlock& block : schedule.blocks) {
    total += size(block.columns) + size(block.ends) + size(block.entries) + size(block.starts);
  }
  return total;
}

}  // namespace

Span Intervals::keys_of(int64_t first, int64_t last) const {
  Span keys{INT64_MAX, 0};
  for (int64_t i = first; i < last; ++i) {
    if (lo[i] >= hi[i]) continue;
    keys.begin = std::min<int64_t>(keys.begin, lo[i]);
    keys.end = std::max<int64_t>(keys.end, hi[i]);
  }
  return keys.empty() ? Span{} : keys;
}

std::shared_ptr<const SequenceSchedule> make_schedule(const SequenceGraph& graph,
                                                      AttentionKernel wanted, DType dtype,
                                                      int64_t dim) {
  auto made = std::make_shared<SequenceSchedule>();
  SequenceSchedule& schedule = *made;
  schedule.kernel = wanted == AttentionKernel::automatic
                        ? choose_kernel(graph, crossover_table().at(dtype, dim))
                        : wanted;
  if (schedule.uses_tiles()) {
    schedule.intervals.lo = graph.parts().lo.data();
    schedule.intervals.hi = graph.parts().hi.data();
    if (schedule.kernel == AttentionKernel::tiles && !graph.intervals_only()) {
      make_hull(graph, schedule);
    }
    schedule.intervals.masked = is_masked(schedule.intervals, graph.length());
  }
  if (schedule.kernel == AttentionKernel::edges || schedule.kernel == AttentionKernel::mixed) {
    make_blocks(graph, schedule);
  }
  make_parts(graph, schedule);
  schedule.size = size_of(schedule);
  return made;
}

std::shared_ptr<const BatchSchedule> make_schedule(const AttentionGraph& graph,
                                                   AttentionKernel wanted, DType dtype,
                                                   int64_t dim) {
  auto schedule = std::make_shared<BatchSchedule>();
  schedule->batch = graph.sequences();
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    const int64_t length = offsets[b + 1] - offsets[b];
    schedule->longest = std::max(schedule->longest, length);
    for (int64_t first = 0; first < length; first += kChunkRows) {
      schedule->chunks.push_back({b, first, std::min(length, first + kChunkRows)});
    }
  }
  // What is there no schedule for, each graph once, however many sequences and groups share it.
  std::vector<const SequenceGraph*> distinct;
  std::unordered_set<const SequenceGraph*> known;
  for (int g = 0; g < graph.groups(); ++g) {
    for (int64_t b = 0; b < graph.sequences(); ++b) {
      const SequenceGraph* one = &graph.sequence(g, b);
      if (known.insert(one).second && !one->schedules().has(wanted, dtype, dim)) {
        distinct.push_back(one);
      }
    }
  }
  parallel_for(static_cast<int64_t>(distinct.size()), 1, [&](int64_t k) {
    const SequenceGraph& one = *distinct[static_cast<size_t>(k)];
    one.schedules().get(one, wanted, dtype, dim);
  });
  for (int g = 0; g < graph.groups(); ++g) {
    for (int64_t b = 0; b < graph.sequences(); ++b) {
      const SequenceGraph& one = graph.sequence(g, b);
      schedule->sequences.push_back(one.schedules().get(one, wanted, dtype, dim));
    }
  }
  return schedule;
}

}  // namespace filigree::kernels
