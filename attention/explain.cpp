#include "attention/explain.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <unordered_set>

#include "attention/kernels/choice.h"
#include "attention/kernels/device_choice.h"
#include "attention/kernels/drawn_graph.h"
#include "attention/kernels/schedule.h"
#include "core/allocator.h"

namespace filigree {

namespace {

constexpr double kTilePairs = 6 * 16;

/// Why it is the fastest of those that were forecast.
std::string reason(const KernelChoice& choice) {
  std::string others;
  for (const auto& [kernel, milliseconds] : choice.milliseconds) {
    if (kernel == choice.kernel) continue;
    if (!others.empty()) others += ", ";
    others += fmt::format("{} {:.3f}", name_of(kernel), milliseconds);
  }
  return fmt::format("the least; {} ms; costs: {}", others, crossover_table().cpu_source());
}

/// Why a device's kernel was chosen, which is the same for all heads.
std::string reason_on(const AttentionGraph& graph, const DeviceCosts& costs) {
  const kernels::DeviceWork work = kernels::device_work(graph);
  return fmt::format("the least over all heads: tiles {:.3f}, edges {:.3f} ms; costs: {}",
                     work.nanoseconds(AttentionKernel::tiles, costs) / 1e6,
                     work.nanoseconds(AttentionKernel::edges, costs) / 1e6,
                     crossover_table().source());
}

/// Why there is no forecast for a device.
std::string unmeasured(Device device, const AttentionUse& use) {
  if (std::ranges::find(kDeviceDTypes, use.dtype) == kDeviceDTypes.end()) {
    return fmt::format("tiles, unless edges are asked for: {} is not measured on devices",
                       name_of(use.dtype));
  }
  return fmt::format("costs not measured here: filigree bench crossover --device {} --save",
                     name_of(device));
}

/// The choices for one group: one for every kernel that computes some of its sequences.
std::vector<KernelChoice> choices_on_cpu(const AttentionGraph& graph, int g,
                                         const AttentionUse& use) {
  const auto schedule = graph.schedules().get(graph, use.kernel, use.dtype, use.dim);
  const KernelCosts costs = crossover_table().at(use.dtype, use.dim);
  std::map<AttentionKernel, KernelChoice> choices;
  std::map<AttentionKernel, double> pairs, tile_pairs;
  std::unordered_set<const SequenceGraph*> known;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    const SequenceGraph& sequence = graph.sequence(g, b);
    const kernels::SequenceSchedule& how = schedule->at(g, b);
    KernelChoice& choice = choices[how.kernel];
    choice.kernel = how.kernel;
    ++choice.sequences;
    choice.edges += sequence.edges();
    pairs[how.kernel] += static_cast<double>(sequence.length() * sequence.length());
    if (known.insert(&sequence).second) choice.bytes += sequence.bytes() + how.bytes();
    for (const AttentionKernel kernel : kernels::kChoices) {
      choice.milliseconds[kernel] += kernels::work_of(sequence, kernel).nanoseconds(costs) / 1e6;
    }
    if (how.uses_tiles()) tile_pairs[how.kernel] += kernels::work_of(sequence, how.kernel).pairs;
  }
  std::vector<KernelChoice> result;
  for (auto& [kernel, choice] : choices) {
    if (pairs[kernel] > 0) choice.density = static_cast<double>(choice.edges) / pairs[kernel];
    choice.tiles = std::llround(tile_pairs[kernel] / kTilePairs);
    choice.why = use.kernel == AttentionKernel::automatic ? reason(choice) : "asked for";
    result.push_back(std::move(choice));
  }
  return result;
}

/// What multiplies in a device's tiles.
std::string units_on(Device device, const AttentionUse& use) {
  std::string units;
  kernels::attention_units(Tensor({0}, use.dtype, device), use.dim, units);
  return units;
}

/// The choice for one group on a device, where the same kernel computes all of a batch.
KernelChoice choice_on(Device device, const AttentionGraph& graph, int g, const AttentionUse& use) {
  KernelChoice choice;
  choice.kernel = kernels::device_kernel(graph, device, use);
  choice.sequences = graph.sequences();
  choice.edges = graph.group_edges(g);
  if (graph.valid_pairs() > 0) {
    choice.density = static_cast<double>(choice.edges) / static_cast<double>(graph.valid_pairs());
  }
  std::unordered_set<const SequenceGraph*> known;
  const bool by_tiles = choice.kernel == AttentionKernel::tiles;
  choice.units = by_tiles ? units_on(device, use) : "cores";
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    const SequenceGraph& sequence = graph.sequence(g, b);
    const bool is_new = known.insert(&sequence).second;
    if (!by_tiles) {
      if (is_new) choice.bytes += kernels::edges_bytes(sequence);
      continue;
    }
    const kernels::TileCounts tiles = sequence.schedules().counts.get(sequence);
    choice.full += tiles.full;
    choice.by_intervals += tiles.intervals;
    choice.masked += tiles.masked;
    choice.tiles += tiles.tiles();
    if (is_new) choice.bytes += kernels::tiles_bytes(sequence, tiles.bytes());
  }
  if (use.kernel != AttentionKernel::automatic) {
    choice.why = "asked for";
  } else if (use.adds) {
    choice.why = "edges take no bias and no gate";
  } else if (const auto costs = kernels::device_costs(device, use)) {
    const kernels::DeviceWork work = kernels::device_work(graph, g);
    for (const AttentionKernel kernel : {AttentionKernel::tiles, AttentionKernel::edges}) {
      choice.milliseconds[kernel] = work.nanoseconds(kernel, *costs) / 1e6;
    }
    choice.why = reason_on(graph, *costs);
  } else {
    choice.why = unmeasured(device, use);
  }
  return choice;
}

/// The choice where every token draws its reach: the graph is made for each batch and layer anew,
/// so that what is known is what the largest reach would need.
KernelChoice drawn_choice(const LayerGraphs& graphs, const AttentionUse& use, Device device) {
  const AttentionGraph& given = *graphs.front();
  const Tensor reaches =
      Tensor::full({1, given.tokens()}, static_cast<double>(use.drawn_reach), DType::i32);
  const AttentionGraph widest =
      AttentionGraph::from_reaches(given.offsets(), reaches, reaches, {0});
  KernelChoice choice;
  for (size_t layer = 0; layer < graphs.size(); ++layer) {
    choice.layers.push_back(static_cast<int>(layer));
  }
  for (int head = 0; head < given.heads(); ++head) choice.heads.push_back(head);
  choice.kernel = use.kernel;
  choice.sequences = widest.sequences();
  choice.edges = widest.group_edges(0);
  choice.density = widest.density();
  const std::string reach = fmt::format("every token draws its reach, up to {}", use.drawn_reach);
  if (device.is_cpu()) {
    choice.bytes = given.heads() * widest.group_bytes(0);
    choice.why = reach + ": edges of that; kernels are chosen for what is drawn";
    return choice;
  }
  choice.kernel = AttentionKernel::tiles;
  choice.units = units_on(device, use);
  std::unordered_set<int64_t> known;  // sequences of as many rows of tiles share them
  for (int64_t b = 0; b < widest.sequences(); ++b) {
    const kernels::TileCounts tiles = kernels::count_tiles(widest.sequence(0, b));
    choice.tiles += tiles.tiles();
    if (known.insert(tiles.rows).second) choice.bytes += kernels::drawn_bytes(tiles);
  }
  choice.why = reach + ": edges and tiles of that; tiles that no draw reaches are passed over";
  return choice;
}

std::vector<KernelChoice> choices_of(const AttentionGraph& graph, int g, const AttentionUse& use,
                                     Device device) {
  if (device.is_cpu()) return choices_on_cpu(graph, g, use);
  return {choice_on(device, graph, g, use)};
}

/// "0-3,5".
std::string ranges(const std::vector<int>& numbers) {
  std::vector<std::string> parts;
  for (size_t k = 0; k < numbers.size();) {
    size_t end = k + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    parts.push_back(end - k == 1 ? std::to_string(numbers[k])
                                 : fmt::format("{}-{}", numbers[k], numbers[end - 1]));
    k = end;
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace

std::vector<KernelChoice> explain(const LayerGraphs& graphs, const AttentionUse& use,
                                  Device device) {
  if (use.draws() && !graphs.empty()) return {drawn_choice(graphs, use, device)};
  std::vector<KernelChoice> choices;
  std::vector<const AttentionGraph*> known;
  for (size_t layer = 0; layer < graphs.size(); ++layer) {
    const AttentionGraph& graph = *graphs[layer];
    if (std::find(known.begin(), known.end(), &graph) != known.end()) continue;
    known.push_back(&graph);
    for (int g = 0; g < graph.groups(); ++g) {
      for (KernelChoice& choice : choices_of(graph, g, use, device)) {
        for (size_t other = layer; other < graphs.size(); ++other) {
          if (graphs[other] == graphs[layer]) choice.layers.push_back(static_cast<int>(other));
        }
        for (int head = 0; head < graph.heads(); ++head) {
          if (graph.group_of_head(head) == g) choice.heads.push_back(head);
        }
        choices.push_back(std::move(choice));
      }
    }
  }
  return choices;
}

std::string to_text(const std::vector<KernelChoice>& choices) {
  const bool on_device = !choices.empty() && !choices[0].units.empty();
  std::string text = fmt::format("{:<8} {:<8} {:<9} ", "layers", "heads", "kernel");
  if (on_device) text += fmt::format("{:<8} ", "by");
  text += fmt::format("{:>9} {:>10} {:>9} ", "sequences", "edges", "tiles");
  if (on_device) text += fmt::format("{:>9} {:>9} {:>9} ", "full", "intervals", "masked");
  text += fmt::format("{:>8} {:>10} {:>8}  {}\n", "density", "memory", "ms/head", "why");
  for (const KernelChoice& c : choices) {
    const auto forecast = c.milliseconds.find(c.kernel);
    const std::string time =
        forecast == c.milliseconds.end() ? "-" : fmt::format("{:.3f}", forecast->second);
    text += fmt::format("{:<8} {:<8} {:<9} ", ranges(c.layers), ranges(c.heads), name_of(c.kernel));
    if (on_device) text += fmt::format("{:<8} ", c.units);
    text += fmt::format("{:>9} {:>10} {:>9} ", c.sequences, c.edges, c.tiles);
    if (on_device) text += fmt::format("{:>9} {:>9} {:>9} ", c.full, c.by_intervals, c.masked);
    text +=
        fmt::format("{:>8.4f} {:>10} {:>8}  {}\n", c.density, human_bytes(c.bytes), time, c.why);
  }
  return text;
}

}  // namespace filigree
