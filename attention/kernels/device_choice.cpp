#include "attention/kernels/device_choice.h"

#include <unordered_set>
#include <vector>

#include "attention/kernels/schedule.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/parallel.h"

namespace filigree::kernels {

namespace {

/// Counts the tiles that nobody has counted, of every graph once, on all threads.
void count_all(const AttentionGraph& graph) {
  std::vector<const SequenceGraph*> missing;
  std::unordered_set<const SequenceGraph*> met;
  for (int g = 0; g < graph.groups(); ++g) {
    for (int64_t b = 0; b < graph.sequences(); ++b) {
      const SequenceGraph& sequence = graph.sequence(g, b);
      if (sequence.schedules().counts.counted() || !met.insert(&sequence).second) continue;
      missing.push_back(&sequence);
    }
  }
  parallel_for(static_cast<int64_t>(missing.size()), 1, [&](int64_t k) {
    const SequenceGraph& sequence = *missing[static_cast<size_t>(k)];
    sequence.schedules().counts.get(sequence);
  });
}

/// Adds the work of `heads` heads of group g.
void add_work(const AttentionGraph& graph, int g, int heads, DeviceWork& work) {
  TileCounts tiles;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    const SequenceGraph& sequence = graph.sequence(g, b);
    tiles += sequence.schedules().counts.get(sequence);
  }
  work.tiles += heads * static_cast<double>(tiles.tiles());
  work.parts += heads * static_cast<double>(tiles.intervals + tiles.masked);
  work.tile_rows += heads * static_cast<double>(tiles.rows);
  work.edges += heads * static_cast<double>(graph.group_edges(g));
  work.edge_rows += heads * static_cast<double>(graph.tokens());
}

}  // namespace

std::optional<DeviceCosts> device_costs(Device device, const AttentionUse& use) {
  const CrossoverTable& table = crossover_table();
  if (table.devices().empty()) return std::nullopt;
  return table.at(backend_of(device).description(device.index), use.dtype, use.dim);
}

double DeviceWork::nanoseconds(AttentionKernel kernel, const DeviceCosts& costs) const {
  if (kernel == AttentionKernel::edges) return costs.edge * edges + costs.edge_row * edge_rows;
  return costs.tile * tiles + costs.part * parts + costs.tile_row * tile_rows;
}

DeviceWork device_work(const AttentionGraph& graph, int g) {
  count_all(graph);
  DeviceWork work;
  add_work(graph, g, 1, work);
  return work;
}

DeviceWork device_work(const AttentionGraph& graph) {
  std::vector<int> heads(static_cast<size_t>(graph.groups()), 0);
  for (int head = 0; head < graph.heads(); ++head) {
    ++heads[static_cast<size_t>(graph.group_of_head(head))];
  }
  count_all(graph);
  DeviceWork work;
  for (int g = 0; g < graph.groups(); ++g) {
    if (const int some = heads[static_cast<size_t>(g)]) add_work(graph, g, some, work);
  }
  return work;
}

AttentionKernel faster(const DeviceWork& work, const DeviceCosts& costs) {
  const bool edges = work.nanoseconds(AttentionKernel::edges, costs) <
                     work.nanoseconds(AttentionKernel::tiles, costs);
  return edges ? AttentionKernel::edges : AttentionKernel::tiles;
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
  const std::tuple key{device.index, use.dtype, use.dim};
  {
    const std::lock_guard lock(mutex_);
    if (const auto made = made_.find(key); made != made_.end()) return made->second;
  }
  const auto costs = device_costs(device, use);
  const AttentionKernel choice =
      costs ? faster(device_work(graph), *costs) : AttentionKernel::tiles;
  const std::lock_guard lock(mutex_);
  return made_.try_emplace(key, choice).first->second;
}

}  // namespace filigree::kernels
