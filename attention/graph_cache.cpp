#include "attention/graph_cache.h"

#include <utility>

#include "attention/kernels/schedule.h"

namespace filigree {

namespace {

/// What an object holds beside its arrays, about.
constexpr int64_t kObjectBytes = 512;

/// Graphs, and what the kernels have worked out about them by now.
int64_t bytes_of(const SequenceGraphs& graphs) {
  int64_t total = kObjectBytes;
  for (const auto& graph : graphs) {
    total += graph->bytes() + graph->schedules().bytes() + kObjectBytes;
  }
  return total;
}

}  // namespace

std::shared_ptr<const SequenceGraphs> GraphCache::find(const ContentHash& key) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(key);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  entries_.front().used = true;
  return entries_.front().graphs;
}

void GraphCache::keep(const ContentHash& key, std::shared_ptr<const SequenceGraphs> graphs) {
  const int64_t bytes = bytes_of(*graphs);
  const std::lock_guard lock(mutex_);
  if (bytes > limit_ || places_.contains(key)) return;
  bytes_ += bytes;
  entries_.push_front({key, std::move(graphs), bytes, true});
  places_[key] = entries_.begin();
  drop_oldest();
}

void GraphCache::recount() {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    if (!std::exchange(entry.used, false)) break;
    const int64_t bytes = bytes_of(*entry.graphs);
    bytes_ += bytes - entry.bytes;
    entry.bytes = bytes;
  }
  drop_oldest();
}

void GraphCache::drop_oldest() {
  while (bytes_ > limit_) {
    bytes_ -= entries_.back().bytes;
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace filigree
