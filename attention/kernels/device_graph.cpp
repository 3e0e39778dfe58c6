#include "attention/kernels/device_graph.h"

#include <algorithm>
#include <cstdlib>
#include <span>

#include "attention/kernels/device_tables.h"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "core/parallel.h"

namespace filigree::kernels {

namespace {

/// The host's side of a DeviceGraph while it grows.
struct Assembly {
  std::vector<int32_t> lo, hi, block_first, block_count, group_of_head;
  std::vector<int64_t> row_bounds, column_bounds;
  std::vector<TileEntry> row_entries, column_entries;
  std::vector<uint64_t> masks, always_columns;
  std::vector<uint8_t> always;
  int32_t blocks_before = 0;  // those of the group's sequences that are done

  void add_blocks(int64_t first, int64_t length) {
    for (int64_t at = 0; at < length; at += kTileRows) {
      block_first.push_back(static_cast<int32_t>(first + at));
      block_count.push_back(static_cast<int32_t>(std::min(kTileRows, length - at)));
    }
  }
  /// Those of a sequence that begins at packed token `first`.
  void add_intervals(const SequenceGraph::Parts& parts, int64_t first) {
    const auto shifted = [&](int32_t column) { return column + static_cast<int32_t>(first); };
    std::ranges::transform(parts.lo, std::back_inserter(lo), shifted);
    std::ranges::transform(parts.hi, std::back_inserter(hi), shifted);
  }
  /// Likewise; bounds without their last.
  void add_tiles(const SequenceTiles& tiles, int64_t first, int64_t length) {
    const auto shift = static_cast<int32_t>(static_cast<int64_t>(masks.size()) / kTileRows);
    masks.insert(masks.end(), tiles.masks.begin(), tiles.masks.end());
    const auto add = [&](const std::vector<int64_t>& bounds,
                         const std::vector<SequenceTiles::Entry>& entries,
                         std::vector<int64_t>& to_bounds, std::vector<TileEntry>& to) {
      const auto before = static_cast<int64_t>(to.size());
      for (size_t b = 0; b + 1 < bounds.size(); ++b) to_bounds.push_back(before + bounds[b]);
      for (const auto& entry : entries) {
        const int64_t at = entry.block * kTileRows;
        to.push_back({static_cast<int32_t>(first + at),
                      static_cast<int32_t>(std::min(kTileRows, length - at)),
                      entry.mask < 0 ? entry.mask : entry.mask + shift,
                      blocks_before + entry.block});
      }
    };
    add(tiles.row_bounds, tiles.rows, row_bounds, row_entries);
    add(tiles.column_bounds, tiles.columns, column_bounds, column_entries);
    blocks_before += static_cast<int32_t>(tiles.blocks());
  }
  void end_group() {
    blocks_before = 0;
    row_bounds.push_back(static_cast<int64_t>(row_entries.size()));
    column_bounds.push_back(static_cast<int64_t>(column_entries.size()));
  }

  DeviceGraph on(Device device) const {
    DeviceGraph made;
    DeviceTables tables;
    tables.add(lo, made.lo);
    tables.add(hi, made.hi);
    tables.add(block_first, made.block_first);
    tables.add(block_count, made.block_count);
    tables.add(row_bounds, made.row_bounds);
    tables.add(column_bounds, made.column_bounds);
    tables.add(row_entries, made.row_entries);
    tables.add(column_entries, made.column_entries);
    tables.add(masks, made.masks);
    tables.add(group_of_head, made.group_of_head);
    tables.add(always, made.always);
    tables.add(always_columns, made.always_columns);
    made.memory = tables.copy(device);
    made.blocks = static_cast<int64_t>(block_first.size());
    return made;
  }
};

/// All tiles of one sequence that may hold an edge where reaches of up to `reach` are drawn.
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
  tiles.columns = tiles.rows;  // who may see whom goes both ways
  tiles.column_bounds = tiles.row_bounds;
  return tiles;
}

}  // namespace

DeviceGraph make_device_graph(const AttentionGraph& graph, Device device) {
  const auto offsets = graph.offsets().span<int64_t>();
  const int64_t groups = graph.groups(), sequences = graph.sequences(), tokens = graph.tokens();
  parallel_for(groups * sequences, 1, [&](int64_t task) {
    const SequenceGraph& sequence =
        graph.sequence(static_cast<int>(task / sequences), task % sequences);
    sequence.schedules().tiles.get(sequence);
  });
  Assembly all;
  all.lo.reserve(static_cast<size_t>(groups * tokens));
  all.hi.reserve(static_cast<size_t>(groups * tokens));
  for (int g = 0; g < groups; ++g) {
    for (int64_t b = 0; b < sequences; ++b) {
      const SequenceGraph& sequence = graph.sequence(g, b);
      const int64_t first = offsets[static_cast<size_t>(b)];
      if (g == 0) all.add_blocks(first, sequence.length());
      all.add_tiles(sequence.schedules().tiles.get(sequence), first, sequence.length());
      all.add_intervals(sequence.parts(), first);
    }
    all.end_group();
  }
  for (int h = 0; h < graph.heads(); ++h) all.group_of_head.push_back(graph.group_of_head(h));
  return all.on(device);
}

DeviceGraph make_drawn_graph(const Tensor& offsets, int64_t heads, int64_t reach,
                             const AlwaysOn* always, Device device) {
  const auto bounds = offsets.span<int64_t>();
  Assembly all;
  all.always.assign(static_cast<size_t>(bounds.back()), 0);
  for (size_t b = 0; b + 1 < bounds.size(); ++b) {
    const int64_t first = bounds[b], length = bounds[b + 1] - first;
    const size_t before = all.always_columns.size();
    all.add_blocks(first, length);
    all.always_columns.resize(all.block_first.size(), 0);
    if (always) {
      for (const int32_t token : always->of(static_cast<int64_t>(b))) {
        all.always[static_cast<size_t>(first + token)] = 1;
        all.always_columns[before + static_cast<size_t>(token / kTileRows)] |=
            uint64_t{1} << (token % kTileRows);
      }
    }
    all.add_tiles(drawn_tiles(reach, std::span(all.always_columns).subspan(before)), first, length);
  }
  all.end_group();
  all.group_of_head.assign(static_cast<size_t>(heads), 0);
  return all.on(device);
}

}  // namespace filigree::kernels
