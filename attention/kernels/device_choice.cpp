#include "attention/kernels/device_choice.h"

#include "attention/kernels/schedule.h"
#include "core/device_backend.h"
#include "core/error.h"

namespace filigree::kernels {

namespace {

AttentionKernel faster(const AttentionGraph& graph, const DeviceCosts& costs) {
  double tiles = 0, edges = 0;
  for (int head = 0; head < graph.heads(); ++head) {
    const int g = graph.group_of_head(head);
    tiles += device_nanoseconds(graph, g, AttentionKernel::tiles, costs);
    edges += device_nanoseconds(graph, g, AttentionKernel::edges, costs);
  }
  return edges < tiles ? AttentionKernel::edges : AttentionKernel::tiles;
}

}  // namespace

std::optional<DeviceCosts> device_costs(Device device, const AttentionUse& use) {
  const CrossoverTable& table = crossover_table();
  if (table.devices().empty()) return std::nullopt;
  return table.at(backend_of(device).description(device.index), use.dtype, use.dim);
}

double device_nanoseconds(const AttentionGraph& graph, int g, AttentionKernel kernel,
                          const DeviceCosts& costs) {
  if (kernel == AttentionKernel::edges) {
    return costs.edge * static_cast<double>(graph.group_edges(g)) +
           costs.edge_row * static_cast<double>(graph.tokens());
  }
  TileCounts work;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    const SequenceGraph& sequence = graph.sequence(g, b);
    work += sequence.schedules().counts.get(sequence);
  }
  return costs.tile * static_cast<double>(work.tiles()) +
         costs.part * static_cast<double>(work.intervals + work.masked) +
         costs.tile_row * static_cast<double>(work.rows);
}

AttentionKernel device_kernel(const AttentionGraph& graph, Device device, const AttentionUse& use) {
  if (use.kernel == AttentionKernel::edges) {
    if (!use.adds) return AttentionKernel::edges;
    throw ConfigError("sparse_attention", "the kernel by edges of CUDA takes no bias and no gate",
                      "take automatic or tiles");
  }
  if (use.kernel != AttentionKernel::automatic || use.adds) return AttentionKernel::tiles;
  return graph.schedules().choices.get(graph, device, use);
}

AttentionKernel DeviceChoices::get(const AttentionGraph& graph, Device device,
                                   const AttentionUse& use) {
  const std::lock_guard lock(mutex_);
  const auto [at, is_new] =
      made_.try_emplace({device.index, use.dtype, use.dim}, AttentionKernel::tiles);
  if (is_new) {
    if (const auto costs = device_costs(device, use)) at->second = faster(graph, *costs);
  }
  return at->second;
}

}  // namespace filigree::kernels
