// How the graphs of a batch lie on a device: the tables of every sequence's graph, sent once and
// kept with it, and a table a batch of where they are. Private to kernels.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "attention/graph.h"
#include "attention/kernels/device_tables.h"
#include "attention/kernels/graph_tiles.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace filigree::kernels {

/// What was put on devices of one graph, once each: sequences, batches, layers and heads that have
/// the graph share it. Freed with the graph.
template <class Tables>
class KeptTables {
 public:
  /// Nothing of a device that has none.
  const Tables* find(Device device) const {
    const std::lock_guard lock(mutex_);
    const auto kept = kept_.find(device.index);
    return kept == kept_.end() ? nullptr : &kept->second.tables;
  }
  /// `memory` holds the tables; of it, `bytes` are this graph's.
  void put(Device device, std::shared_ptr<const Tensor> memory, const Tables& tables,
           int64_t bytes) {
    const std::lock_guard lock(mutex_);
    kept_.try_emplace(device.index, Kept{std::move(memory), tables, bytes});
  }
  /// Memory on all devices. It is free when the last graph is gone that was put there together with
  /// this one: at most 256 KiB later.
  int64_t bytes() const {
    const std::lock_guard lock(mutex_);
    int64_t total = 0;
    for (const auto& [device, kept] : kept_) total += kept.bytes;
    return total;
  }

 private:
  struct Kept {
    std::shared_ptr<const Tensor> memory;
    Tables tables;
    int64_t bytes;
  };
  mutable std::mutex mutex_;
  std::map<int, Kept> kept_;  // by the device's index
};

/// Some tokens of a sequence, as many as a block of threads works on, or what is left of it.
struct alignas(16) BlockPlace {
  int32_t sequence;
  int32_t block;         // of the sequence
  int32_t first, count;  // packed tokens
};

/// A batch on a device. Blocks, of Kind::kTokens tokens, are those of all sequences, in order;
/// every group has the same. The pointers lead into `memory`; those of `sequences` into what the
/// batch's graphs keep.
template <class Tables>
struct DeviceBatch {
  Tensor memory;                           // (bytes) u8
  const BlockPlace* places = nullptr;      // (NB)
  const int32_t* ends = nullptr;           // (B): the packed token behind a sequence
  const Tables* sequences = nullptr;       // (groups, B)
  const int32_t* group_of_head = nullptr;  // (H)
  int64_t blocks = 0, sequence_count = 0;
};

/// The host's side of a DeviceBatch while it grows.
template <class Tables>
struct BatchAssembly {
  std::vector<BlockPlace> places;
  std::vector<int32_t> ends, group_of_head;
  std::vector<Tables> sequences;

  /// offsets (B+1) of the packed batch, in blocks of so many tokens.
  BatchAssembly(std::span<const int64_t> offsets, int64_t tokens) {
    for (size_t b = 0; b + 1 < offsets.size(); ++b) {
      const int64_t first = offsets[b], end = offsets[b + 1];
      for (int32_t block = 0; first + block * tokens < end; ++block) {
        const int64_t at = first + block * tokens;
        places.push_back({static_cast<int32_t>(b), block, static_cast<int32_t>(at),
                          static_cast<int32_t>(std::min(tokens, end - at))});
      }
      ends.push_back(static_cast<int32_t>(end));
    }
  }
  /// Everything into `tables`, which become made.memory.
  void add_to(DeviceTables& tables, DeviceBatch<Tables>& made) const {
    tables.add(places, made.places);
    tables.add(ends, made.ends);
    tables.add(sequences, made.sequences);
    tables.add(group_of_head, made.group_of_head);
    made.blocks = static_cast<int64_t>(places.size());
    made.sequence_count = static_cast<int64_t>(ends.size());
  }
};

/// Tables of so many bytes go to a device by themselves. Smaller ones go together, since a copy
/// takes longer than its bytes, and stay until none of them is needed: so as many bytes at most.
inline constexpr int64_t kCopiedAlone = int64_t{1} << 16, kCopiedTogether = int64_t{1} << 18;

/// Graphs that have no tables on the device get them. Kind says which tables:
///   Kind::Host                          what is made of a graph on the host
///   Kind::Tables                        the pointers to that on a device
///   Kind::make(graph) -> Host
///   Kind::bytes(graph, host)            what the tables take
///   Kind::add(graph, host, tables, to)  adds them to DeviceTables, their pointers into `to`
///   Kind::kept(graph)                   the graph's KeptTables<Tables>
///   Kind::kTokens                       tokens of a block of the batch
template <class Kind>
void put_on_device(const std::vector<const SequenceGraph*>& graphs, Device device) {
  std::vector<typename Kind::Host> made(graphs.size());
  std::vector<typename Kind::Tables> there(graphs.size());
  std::vector<int64_t> bytes(graphs.size());
  parallel_for(static_cast<int64_t>(graphs.size()), 1, [&](int64_t at) {
    const auto g = static_cast<size_t>(at);
    made[g] = Kind::make(*graphs[g]);
    bytes[g] = Kind::bytes(*graphs[g], made[g]);
  });
  std::vector<size_t> small;
  int64_t small_bytes = 0;
  const auto copy = [&](const std::vector<size_t>& some) {
    DeviceTables tables;
    for (const size_t g : some) Kind::add(*graphs[g], made[g], tables, there[g]);
    const auto memory = std::make_shared<const Tensor>(tables.copy(device));
    for (const size_t g : some) Kind::kept(*graphs[g]).put(device, memory, there[g], bytes[g]);
  };
  for (size_t g = 0; g < graphs.size(); ++g) {
    if (bytes[g] >= kCopiedAlone) {
      copy({g});
      continue;
    }
    if (small_bytes + bytes[g] > kCopiedTogether) {
      copy(std::exchange(small, {}));
      small_bytes = 0;
    }
    small.push_back(g);
    small_bytes += bytes[g];
  }
  if (!small.empty()) copy(small);
}

/// The batch's graphs go to the device, if they are not there, and then what says where they are.
/// The graph must outlive what is made. Cost of graphs that are there O(T / kTokens + groups B).
template <class Kind>
DeviceBatch<typename Kind::Tables> make_device_batch(const AttentionGraph& graph, Device device) {
  std::vector<const SequenceGraph*> missing;
  std::unordered_set<const SequenceGraph*> met;
  const auto each = [&](auto body) {
    for (int g = 0; g < graph.groups(); ++g) {
      for (int64_t b = 0; b < graph.sequences(); ++b) body(graph.sequence(g, b));
    }
  };
  each([&](const SequenceGraph& sequence) {
    if (Kind::kept(sequence).find(device) || !met.insert(&sequence).second) return;
    missing.push_back(&sequence);
  });
  if (!missing.empty()) put_on_device<Kind>(missing, device);
  BatchAssembly<typename Kind::Tables> all(graph.offsets().span<int64_t>(), Kind::kTokens);
  each([&](const SequenceGraph& sequence) {
    all.sequences.push_back(*Kind::kept(sequence).find(device));
  });
  for (int h = 0; h < graph.heads(); ++h) all.group_of_head.push_back(graph.group_of_head(h));
  DeviceBatch<typename Kind::Tables> made;
  DeviceTables tables;
  all.add_to(tables, made);
  made.memory = tables.copy(device);
  return made;
}

/// What Make made of one batch, once a device.
template <class Made, Made (*Make)(const AttentionGraph&, Device)>
class DeviceCache {
 public:
  std::shared_ptr<const Made> get(const AttentionGraph& graph, Device device) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Made>& made = made_[device.index];
    if (!made) made = std::make_shared<const Made>(Make(graph, device));
    return made;
  }

 private:
  std::mutex mutex_;
  std::map<int, std::shared_ptr<const Made>> made_;  // by the device's index
};

}  // namespace filigree::kernels
