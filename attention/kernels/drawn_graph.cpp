#include "attention/kernels/drawn_graph.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "attention/kernels/always_on.h"

namespace filigree::kernels {

namespace {

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

/// (NB): of every block the tokens that are always on, as bits.
std::vector<uint64_t> marks_of(std::span<const BlockPlace> places,
                               const std::vector<uint8_t>& always) {
  std::vector<uint64_t> marks;
  for (const BlockPlace& place : places) {
    uint64_t& mark = marks.emplace_back(0);
    for (int32_t column = 0; column < place.count; ++column) {
      const bool on = always[static_cast<size_t>(place.first + column)] != 0;
      mark |= static_cast<uint64_t>(on) << column;
    }
  }
  return marks;
}

}  // namespace

DrawnGraph make_drawn_graph(const Tensor& offsets, int64_t heads, int64_t reach,
                            const AlwaysOn* always, Device device) {
  const auto bounds = offsets.span<int64_t>();
  BatchAssembly<DeviceTiles> all(bounds, kTileRows);
  const std::vector<uint8_t> flags = always_on_flags(offsets, always);
  const std::vector<uint64_t> always_columns = marks_of(all.places, flags);
  // Sequences of a kind have the same tiles: as many blocks, the same of them with tokens that are
  // always on.
  std::map<std::vector<bool>, std::pair<SequenceTiles, DeviceTiles>> kinds;
  std::vector<const DeviceTiles*> kind_of(all.ends.size());
  size_t first = 0;  // block of the sequence
  for (size_t b = 0; b < kind_of.size(); ++b) {
    const auto blocks =
        static_cast<size_t>((bounds[b + 1] - bounds[b] + kTileRows - 1) / kTileRows);
    const auto marks = std::span(always_columns).subspan(first, blocks);
    std::vector<bool> kind;
    for (const uint64_t mark : marks) kind.push_back(mark != 0);
    auto [found, is_new] = kinds.try_emplace(std::move(kind));
    if (is_new) found->second.first = drawn_tiles(reach, marks);
    kind_of[b] = &found->second.second;
    first += blocks;
  }
  DeviceTables tiles_of_kinds;
  for (auto& [kind, tiles] : kinds) {
    tiles_of_kinds.add(tiles.first.row_bounds, tiles.second.row_bounds);
    tiles_of_kinds.add(tiles.first.rows, tiles.second.rows);
  }
  DrawnGraph made;
  made.own = tiles_of_kinds.copy(device);
  for (auto& [kind, tiles] : kinds) {
    tiles.second.column_bounds = tiles.second.row_bounds;
    tiles.second.columns = tiles.second.rows;
  }
  for (const DeviceTiles* tiles : kind_of) all.sequences.push_back(*tiles);
  all.group_of_head.assign(static_cast<size_t>(heads), 0);
  DeviceTables tables;
  all.add_to(tables, made);
  tables.add(flags, made.always);
  tables.add(always_columns, made.always_columns);
  made.memory = tables.copy(device);
  return made;
}

}  // namespace filigree::kernels
