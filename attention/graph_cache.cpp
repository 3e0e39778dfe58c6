#include "attention/graph_cache.h"

#include <algorithm>
#include <set>

namespace filigree {

LayerGraphs GraphCache::find(const Tensor& offsets, uint64_t seed) {
  const auto wanted = offsets.span<int64_t>();
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.seed == seed && std::ranges::equal(entry.offsets, wanted);
  });
  if (found == entries_.end()) return {};
  entries_.splice(entries_.begin(), entries_, found);
  return entries_.front().graphs;
}

void GraphCache::keep(const Tensor& offsets, uint64_t seed, const LayerGraphs& graphs) {
  const auto lengths = offsets.span<int64_t>();
  Entry entry{{lengths.begin(), lengths.end()}, seed, graphs, 0};
  for (const auto& graph : std::set(graphs.begin(), graphs.end())) entry.bytes += graph->bytes();
  const std::lock_guard lock(mutex_);
  bytes_ += entry.bytes;
  entries_.push_front(std::move(entry));
  while (bytes_ > kBytes && entries_.size() > 1) {
    bytes_ -= entries_.back().bytes;
    entries_.pop_back();
  }
}

}  // namespace filigree
