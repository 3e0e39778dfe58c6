// Graphs of sequences that were there before. Private to attention.
#pragma once

#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "attention/sequence_graph.h"
#include "core/content_hash.h"

namespace filigree {

/// Keeps the graphs of sequences by what they depend on, those used last: as many as have kBytes
/// together, with what the kernels have worked out about them, here and on devices. Thread-safe.
class GraphCache {
 public:
  static constexpr int64_t kBytes = int64_t{256} << 20;

  explicit GraphCache(int64_t bytes = kBytes) : limit_(bytes) {}

  /// Null if they are not there.
  std::shared_ptr<const SequenceGraphs> find(const ContentHash& key);
  void keep(const ContentHash& key, std::shared_ptr<const SequenceGraphs> graphs);
  /// Counts what the kernels have worked out about the graphs that were kept or found since the
  /// last call, and drops those that are too many then: to be called now and again, before a batch
  /// is looked for. Cost O(graphs of these), some 0.1 us each.
  void recount();
  int64_t bytes() const { return bytes_; }

 private:
  void drop_oldest();

  struct Entry {
    ContentHash key;
    std::shared_ptr<const SequenceGraphs> graphs;
    int64_t bytes;
    bool used;  // since the last recount; those that are stand first
  };
  int64_t limit_, bytes_ = 0;
  std::mutex mutex_;
  std::list<Entry> entries_;  // those used last first
  std::unordered_map<ContentHash, std::list<Entry>::iterator> places_;
};

}  // namespace filigree
