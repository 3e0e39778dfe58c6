#include "attention/kernels/device_graph.h"

#include <algorithm>
#include <map>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "attention/kernels/device_tables.h"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "core/parallel.h"

namespace filigree::kernels {

namespace {

/// Tables of so many bytes go to a device by themselves. Smaller ones go together, since a copy
/// takes longer than its bytes, and stay until none of them is needed: so as many bytes at most.
constexpr int64_t kCopiedAlone = int64_t{1} << 16, kCopiedTogether = int64_t{1} << 18;

void add_tables(const SequenceGraph& graph, const SequenceTiles& from, DeviceTables& tables,
                DeviceTiles& to) {
  tables.add(graph.parts().lo, to.lo);
  tables.add(graph.parts().hi, to.hi);
  tables.add(from.row_bounds, to.row_bounds);
  tables.add(from.column_bounds, to.column_bounds);
  tables.add(from.rows, to.rows);
  tables.add(from.columns, to.columns);
  tables.add(from.masks, to.masks);
}
/// Graphs that have no tiles on the device get them.
void put_on_device(const std::vector<const SequenceGraph*>& graphs, Device device) {
  std::vector<SequenceTiles> tiles(graphs.size());
  std::vector<DeviceTiles> there(graphs.size());
  std::vector<int64_t> bytes(graphs.size());
  parallel_for(static_cast<int64_t>(graphs.size()), 1, [&](int64_t at) {
    const auto g = static_cast<size_t>(at);
    tiles[g] = make_tiles(*graphs[g]);
    bytes[g] = tiles[g].bytes() + 2 * graphs[g]->length() * static_cast<int64_t>(sizeof(int32_t));
  });
  std::vector<size_t> small;
  int64_t small_bytes = 0;
  const auto copy = [&](const std::vector<size_t>& some) {
    DeviceTables tables;
    for (const size_t g : some) add_tables(*graphs[g], tiles[g], tables, there[g]);
    const auto memory = std::make_shared<const Tensor>(tables.copy(device));
    for (const size_t g : some)
      graphs[g]->schedules().tiles.put(device, memory, there[g], bytes[g]);
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

/// The host's side of a DeviceGraph while it grows.
struct Assembly {
  std::vector<BlockPlace> places;
  std::vector<int32_t> ends, group_of_head;
  std::vector<DeviceTiles> sequences;
  std::vector<uint8_t> always;
  std::vector<uint64_t> always_columns;

  explicit Assembly(std::span<const int64_t> offsets) {
    for (size_t b = 0; b + 1 < offsets.size(); ++b) {
      const int64_t first = offsets[b], end = offsets[b + 1];
      for (int32_t block = 0; first + block * kTileRows < end; ++block) {
        const int64_t at = first + block * kTileRows;
        places.push_back({static_cast<int32_t>(b), block, static_cast<int32_t>(at),
                          static_cast<int32_t>(std::min(kTileRows, end - at))});
      }
      ends.push_back(static_cast<int32_t>(end));
    }
  }

  DeviceGraph on(Device device) const {
    DeviceGraph made;
    DeviceTables tables;
    tables.add(places, made.places);
    tables.add(ends, made.ends);
    tables.add(sequences, made.sequences);
    tables.add(group_of_head, made.group_of_head);
    tables.add(always, made.always);
    tables.add(always_columns, made.always_columns);
    made.memory = tables.copy(device);
    made.blocks = static_cast<int64_t>(places.size());
    made.sequence_count = static_cast<int64_t>(ends.size());
    return made;
  }
};

/// All tiles of one sequence that may hold an edge where reaches of up to `reach` are drawn. The
/// columns are the rows: who may see whom goes both ways.
/// always_columns (blocks): not 0 where a block holds a token that is always on.
SequenceTiles drawn_tiles(int64_t reach, std::span<const uint64_t> always_columns) {
  const auto blocks = static_cast<int64_t>(always_columns.size());
  // The nearest tokens of blocks k apart are 64 k - 63 apart.
  const int64_t near = (reach + kTileRows - 1) / kTileRows;
  std::vector<int64_t> whole;  // blocks that all see
  for (int64_t b = 0; b < blocks; ++b) {
    if (always_columns[static_cast<size_t>(b)] != 0) whole.push_back(b);
  }
  SequenceTiles tiles;
  tiles.row_bounds.push_back(0);
  for (int64_t row = 0; row < blocks; ++row) {
    const bool sees_all = always_columns[static_cast<size_t>(row)] != 0;
    const int64_t from = sees_all ? 0 : std::max<int64_t>(0, row - near);
    const int64_t to = sees_all ? blocks : std::min(blocks, row + near + 1);
    const auto add = [&](int64_t column) {
      tiles.rows.push_back({static_cast<int32_t>(column), kDrawnTile});
    };
    const auto after = std::ranges::lower_bound(whole, from);
    std::for_each(whole.begin(), after, add);
    for (int64_t column = from; column < to; ++column) add(column);
    std::for_each(std::lower_bound(after, whole.end(), to), whole.end(), add);
    tiles.row_bounds.push_back(static_cast<int64_t>(tiles.rows.size()));
  }
  return tiles;
}

/// Of every block the tokens that are always on, as bits.
void mark_blocks(const AlwaysOn* always, Assembly& all) {
  all.always_columns.assign(all.places.size(), 0);
  for (size_t block = 0; always && block < all.places.size(); ++block) {
    const BlockPlace& place = all.places[block];
    for (int32_t column = 0; column < place.count; ++column) {
      const bool on = all.always[static_cast<size_t>(place.first + column)] != 0;
      all.always_columns[block] |= static_cast<uint64_t>(on) << column;
    }
  }
}

}  // namespace

const DeviceTiles* TilesCache::find(Device device) const {
  const std::lock_guard lock(mutex_);
  const auto kept = kept_.find(device.index);
  return kept == kept_.end() ? nullptr : &kept->second.tiles;
}

void TilesCache::put(Device device, std::shared_ptr<const Tensor> memory, const DeviceTiles& tiles,
                     int64_t bytes) {
  const std::lock_guard lock(mutex_);
  kept_.try_emplace(device.index, Kept{std::move(memory), tiles, bytes});
}

int64_t TilesCache::bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t total = 0;
  for (const auto& [device, kept] : kept_) total += kept.bytes;
  return total;
}

std::vector<uint8_t> always_on_flags(const Tensor& offsets, const AlwaysOn* always) {
  const auto bounds = offsets.span<int64_t>();
  std::vector<uint8_t> flags(static_cast<size_t>(bounds.back()), 0);
  for (size_t b = 0; always && b + 1 < bounds.size(); ++b) {
    for (const int32_t token : always->of(static_cast<int64_t>(b))) {
      flags[static_cast<size_t>(bounds[b] + token)] = 1;
    }
  }
  return flags;
}

DeviceGraph make_device_graph(const AttentionGraph& graph, Device device) {
  std::vector<const SequenceGraph*> missing;
  std::unordered_set<const SequenceGraph*> met;
  const auto each = [&](auto body) {
    for (int g = 0; g < graph.groups(); ++g) {
      for (int64_t b = 0; b < graph.sequences(); ++b) body(graph.sequence(g, b));
    }
  };
  each([&](const SequenceGraph& sequence) {
    if (sequence.schedules().tiles.find(device) || !met.insert(&sequence).second) return;
    missing.push_back(&sequence);
  });
  if (!missing.empty()) put_on_device(missing, device);
  Assembly all(graph.offsets().span<int64_t>());
  each([&](const SequenceGraph& sequence) {
    all.sequences.push_back(*sequence.schedules().tiles.find(device));
  });
  for (int h = 0; h < graph.heads(); ++h) all.group_of_head.push_back(graph.group_of_head(h));
  return all.on(device);
}

DeviceGraph make_drawn_graph(const Tensor& offsets, int64_t heads, int64_t reach,
                             const AlwaysOn* always, Device device) {
  const auto bounds = offsets.span<int64_t>();
  Assembly all(bounds);
  all.always = always_on_flags(offsets, always);
  mark_blocks(always, all);
  // Sequences of a kind have the same tiles: as many blocks, the same of them with tokens that are
  // always on.
  std::map<std::vector<bool>, std::pair<SequenceTiles, DeviceTiles>> kinds;
  std::vector<const DeviceTiles*> kind_of(all.ends.size());
  size_t first = 0;  // block of the sequence
  for (size_t b = 0; b < kind_of.size(); ++b) {
    const auto blocks =
        static_cast<size_t>((bounds[b + 1] - bounds[b] + kTileRows - 1) / kTileRows);
    const auto marks = std::span(all.always_columns).subspan(first, blocks);
    std::vector<bool> kind;
    for (const uint64_t mark : marks) kind.push_back(mark != 0);
    auto [found, is_new] = kinds.try_emplace(std::move(kind));
    if (is_new) found->second.first = drawn_tiles(reach, marks);
    kind_of[b] = &found->second.second;
    first += blocks;
  }
  DeviceTables tables;
  for (auto& [kind, tiles] : kinds) {
    tables.add(tiles.first.row_bounds, tiles.second.row_bounds);
    tables.add(tiles.first.rows, tiles.second.rows);
  }
  Tensor own = tables.copy(device);
  for (auto& [kind, tiles] : kinds) {
    tiles.second.column_bounds = tiles.second.row_bounds;
    tiles.second.columns = tiles.second.rows;
  }
  for (const DeviceTiles* tiles : kind_of) all.sequences.push_back(*tiles);
  all.group_of_head.assign(static_cast<size_t>(heads), 0);
  DeviceGraph made = all.on(device);
  made.own = std::move(own);
  return made;
}

}  // namespace filigree::kernels
