#include "attention/kernels/schedule.h"

#include "attention/kernels/choice.h"
#include "core/parallel.h"

namespace filigree::kernels {

namespace {

int64_t rest_of_row(const AttentionGraph& graph, int g, int64_t b, int64_t i, int32_t* out) {
  const HeadGraph& group = graph.group(g);
  const int64_t count = graph.row(g, b, i, out);
  const int32_t lo = group.lo.data<int32_t>()[i], hi = group.hi.data<int32_t>()[i];
  if (lo >= hi) return count;
  return std::remove_if(out, out + count, [&](int32_t j) { return j >= lo && j < hi; }) - out;
}

/// Each row from its first to its last column, and what lies between and is no edge.
void make_hull(const AttentionGraph& graph, int g, GroupSchedule& schedule) {
  const auto tokens = static_cast<size_t>(graph.tokens());
  schedule.lo.assign(tokens, 0);
  schedule.hi.assign(tokens, 0);
  Intervals& intervals = schedule.intervals;
  intervals.hole_offsets.assign(1, 0);
  std::vector<int32_t> row;
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    row.resize(static_cast<size_t>(offsets[b + 1] - offsets[b]));
    for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
      const auto count = static_cast<size_t>(graph.row(g, b, i, row.data()));
      if (count > 0) {
        schedule.lo[static_cast<size_t>(i)] = row[0];
        schedule.hi[static_cast<size_t>(i)] = row[count - 1] + 1;
        for (size_t e = 1; e < count; ++e) {
          for (int32_t j = row[e - 1] + 1; j < row[e]; ++j) intervals.holes.push_back(j);
        }
      }
      intervals.hole_offsets.push_back(static_cast<int64_t>(intervals.holes.size()));
    }
  }
  intervals.lo = schedule.lo.data();
  intervals.hi = schedule.hi.data();
}

bool is_masked(const AttentionGraph& graph, const Intervals& intervals) {
  if (!intervals.holes.empty()) return true;
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
      if (intervals.lo[i] != offsets[b] || intervals.hi[i] != offsets[b + 1]) return true;
    }
  }
  return false;
}

void make_blocks(const AttentionGraph& graph, int g, GroupSchedule& schedule) {
  const int64_t* offsets = graph.offsets().data<int64_t>();
  std::vector<int64_t> sequence_of;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    schedule.first_block.push_back(schedule.blocks.size());
    for (int64_t first = offsets[b]; first < offsets[b + 1]; first += kEdgeRows) {
      EdgeBlock block;
      block.first = first;
      block.last = std::min(first + kEdgeRows, offsets[b + 1]);
      schedule.blocks.push_back(std::move(block));
      sequence_of.push_back(b);
    }
  }
  schedule.first_block.push_back(schedule.blocks.size());
  const bool rest = schedule.kernel == AttentionKernel::mixed;
  parallel_for(static_cast<int64_t>(schedule.blocks.size()), 4, [&](int64_t at) {
    EdgeBlock& block = schedule.blocks[static_cast<size_t>(at)];
    const int64_t b = sequence_of[static_cast<size_t>(at)];
    block = make_edge_block(
        block.first, block.last, offsets[b + 1] - offsets[b], [&](int64_t i, int32_t* out) {
          return rest ? rest_of_row(graph, g, b, i, out) : graph.row(g, b, i, out);
        });
  });
}

/// Where the parts of a sequence end: whole blocks of edges, about as many edges in each part.
std::vector<int64_t> part_ends(const HeadGraph& group, int64_t first, int64_t last) {
  if (last - first < kDividedLength) return {last};
  const int32_t *lo = group.lo.data<int32_t>(), *hi = group.hi.data<int32_t>();
  const int64_t* extras = group.columns.defined() ? group.row_offsets.data<int64_t>() : nullptr;
  std::vector<int64_t> edges{0};  // up to the end of every step; each row counts 1 besides
  for (int64_t i = first; i < last; ++i) {
    if ((i - first) % kEdgeRows == 0) edges.push_back(edges.back());
    edges.back() += 1 + std::max(0, hi[i] - lo[i]) + (extras ? extras[i + 1] - extras[i] : 0);
  }
  std::vector<int64_t> ends;
  const auto steps = static_cast<int64_t>(edges.size()) - 1;
  int64_t step = 0;
  for (int64_t part = 1; part < kParts; ++part) {
    do {
      ++step;
    } while (step < steps - (kParts - part) &&
             edges[static_cast<size_t>(step)] * kParts < edges.back() * part);
    ends.push_back(first + step * kEdgeRows);
  }
  ends.push_back(last);
  return ends;
}

void make_parts(const AttentionGraph& graph, int g, GroupSchedule& schedule) {
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    schedule.first_part.push_back(schedule.parts.size());
    // The rows kernel, a reference, does a sequence at once.
    const auto ends = schedule.kernel == AttentionKernel::rows
                          ? std::vector{offsets[b + 1]}
                          : part_ends(graph.group(g), offsets[b], offsets[b + 1]);
    int64_t first = offsets[b];
    for (const int64_t last : ends) {
      BackwardPart part{b, first, last, {offsets[b], offsets[b + 1]}};
      if (ends.size() > 1) {
        part.keys = schedule.uses_tiles() ? schedule.intervals.keys_of(first, last) : Span{};
        for (const EdgeBlock& block : schedule.blocks_of(b, offsets[b], first, last)) {
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
  schedule.first_part.push_back(schedule.parts.size());
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

int64_t GroupSchedule::bytes() const {
  const auto size = [](const auto& items) {
    return static_cast<int64_t>(items.size() * sizeof(items[0]));
  };
  int64_t total = size(lo) + size(hi) + size(intervals.hole_offsets) + size(intervals.holes) +
                  size(blocks) + size(first_block) + size(parts) + size(first_part);
  for (const EdgeBlock& block : blocks) {
    total += size(block.columns) + size(block.ends) + size(block.entries) + size(block.starts);
  }
  return total;
}

std::shared_ptr<const Schedule> make_schedule(const AttentionGraph& graph, AttentionKernel wanted,
                                              DType dtype, int64_t dim) {
  auto schedule = std::make_shared<Schedule>();
  const KernelCosts costs = crossover_table().at(dtype, dim);
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    schedule->longest = std::max(schedule->longest, offsets[b + 1] - offsets[b]);
    for (int64_t first = offsets[b]; first < offsets[b + 1]; first += kChunkRows) {
      schedule->chunks.push_back({b, first, std::min(offsets[b + 1], first + kChunkRows)});
    }
  }
  schedule->groups.resize(static_cast<size_t>(graph.groups()));
  for (int g = 0; g < graph.groups(); ++g) {
    GroupSchedule& group = schedule->groups[static_cast<size_t>(g)];
    group.kernel = wanted == AttentionKernel::automatic ? choose_kernel(graph, g, costs) : wanted;
    if (group.uses_tiles()) {
      group.intervals.lo = graph.group(g).lo.data<int32_t>();
      group.intervals.hi = graph.group(g).hi.data<int32_t>();
      if (group.kernel == AttentionKernel::tiles && !graph.group(g).intervals_only()) {
        make_hull(graph, g, group);
      }
      group.intervals.masked = is_masked(graph, group.intervals);
    }
    if (group.kernel == AttentionKernel::edges || group.kernel == AttentionKernel::mixed) {
      make_blocks(graph, g, group);
    }
    make_parts(graph, g, group);
  }
  return schedule;
}

}  // namespace filigree::kernels
