#include "attention/kernels/device_graph.h"

#include "attention/kernels/schedule.h"

namespace filigree::kernels {

namespace {

struct AsTiles {
  static constexpr int64_t kTokens = kTileRows;
  using Host = SequenceTiles;
  using Tables = DeviceTiles;

  static Host make(const SequenceGraph& graph) { return make_tiles(graph); }
  static int64_t bytes(const SequenceGraph& graph, const Host& tiles) {
    return tiles_bytes(graph, tiles.bytes());
  }
  static void add(const SequenceGraph& graph, const Host& from, DeviceTables& tables, Tables& to) {
    tables.add(graph.parts().lo, to.lo);
    tables.add(graph.parts().hi, to.hi);
    tables.add(from.row_bounds, to.row_bounds);
    tables.add(from.column_bounds, to.column_bounds);
    tables.add(from.rows, to.rows);
    tables.add(from.columns, to.columns);
    tables.add(from.masks, to.masks);
  }
  static KeptTables<Tables>& kept(const SequenceGraph& graph) { return graph.schedules().tiles; }
};

struct AsEdges {
  static constexpr int64_t kTokens = kEdgeTokens;
  using Host = SequenceEdges;
  using Tables = DeviceEdges;

  static Host make(const SequenceGraph& graph) { return make_edges(graph); }
  static int64_t bytes(const SequenceGraph&, const Host& edges) { return edges.bytes(); }
  static void add(const SequenceGraph&, const Host& from, DeviceTables& tables, Tables& to) {
    tables.add(from.row_bounds, to.row_bounds);
    tables.add(from.column_bounds, to.column_bounds);
    tables.add(from.columns, to.columns);
    tables.add(from.rows, to.rows);
  }
  static KeptTables<Tables>& kept(const SequenceGraph& graph) { return graph.schedules().edges; }
};

}  // namespace

DeviceTileBatch make_device_tiles(const AttentionGraph& graph, Device device) {
  return make_device_batch<AsTiles>(graph, device);
}
DeviceEdgeBatch make_device_edges(const AttentionGraph& graph, Device device) {
  return make_device_batch<AsEdges>(graph, device);
}

}  // namespace filigree::kernels
