#include "attention/explain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attention/kernels/choice.h"
#include "attention/kernels/schedule.h"
#include "core/allocator.h"

namespace filigree {

namespace {

constexpr double kTilePairs = 6 * 16;

std::string reason(const KernelChoice& choice, AttentionKernel wanted) {
  if (wanted != AttentionKernel::automatic) return "asked for";
  std::string others;
  for (size_t k = 0; k < kernels::kChoices.size(); ++k) {
    if (kernels::kChoices[k] == choice.kernel) continue;
    if (!others.empty()) others += ", ";
    others += fmt::format("{} {:.2f}", name_of(kernels::kChoices[k]), choice.milliseconds[k]);
  }
  return fmt::format("the least; {} ms; costs: {}", others, crossover_table().source());
}

KernelChoice choice_of(const AttentionGraph& graph, int g, DType dtype, int64_t dim,
                       AttentionKernel wanted) {
  const auto schedule = graph.schedules().get(graph, wanted, dtype, dim);
  const kernels::GroupSchedule& group = schedule->groups[static_cast<size_t>(g)];
  KernelChoice choice;
  choice.kernel = group.kernel;
  choice.edges = graph.group_edges(g);
  const auto pairs = static_cast<double>(graph.valid_pairs());
  choice.density = pairs == 0 ? 0 : static_cast<double>(choice.edges) / pairs;
  choice.bytes = graph.group(g).bytes() + group.bytes();
  const KernelCosts costs = crossover_table().at(dtype, dim);
  for (size_t k = 0; k < kernels::kChoices.size(); ++k) {
    choice.milliseconds[k] =
        kernels::work_of(graph, g, kernels::kChoices[k]).nanoseconds(costs) / 1e6;
  }
  if (group.uses_tiles()) {
    choice.tiles =
        static_cast<int64_t>(kernels::work_of(graph, g, group.kernel).pairs / kTilePairs + 0.5);
  }
  choice.why = reason(choice, wanted);
  return choice;
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

std::vector<KernelChoice> explain(const LayerGraphs& graphs, DType dtype, int64_t dim,
                                  AttentionKernel wanted) {
  std::vector<KernelChoice> choices;
  std::vector<const AttentionGraph*> known;
  for (size_t layer = 0; layer < graphs.size(); ++layer) {
    const AttentionGraph& graph = *graphs[layer];
    if (std::find(known.begin(), known.end(), &graph) != known.end()) continue;
    known.push_back(&graph);
    for (int g = 0; g < graph.groups(); ++g) {
      KernelChoice choice = choice_of(graph, g, dtype, dim, wanted);
      for (size_t other = layer; other < graphs.size(); ++other) {
        if (graphs[other] == graphs[layer]) choice.layers.push_back(static_cast<int>(other));
      }
      for (int head = 0; head < graph.heads(); ++head) {
        if (graph.group_of_head(head) == g) choice.heads.push_back(head);
      }
      choices.push_back(std::move(choice));
    }
  }
  return choices;
}

std::string to_text(const std::vector<KernelChoice>& choices) {
  std::string text =
      fmt::format("{:<8} {:<8} {:<6} {:>10} {:>9} {:>8} {:>10} {:>8}  {}\n", "layers", "heads",
                  "kernel", "edges", "tiles", "density", "memory", "ms/head", "why");
  for (const KernelChoice& c : choices) {
    double time = 0;
    for (size_t k = 0; k < kernels::kChoices.size(); ++k) {
      if (kernels::kChoices[k] == c.kernel) time = c.milliseconds[k];
    }
    text += fmt::format("{:<8} {:<8} {:<6} {:>10} {:>9} {:>8.4f} {:>10} {:>8.3f}  {}\n",
                        ranges(c.layers), ranges(c.heads), name_of(c.kernel), c.edges, c.tiles,
                        c.density, human_bytes(c.bytes), time, c.why);
  }
  return text;
}

}  // namespace filigree
