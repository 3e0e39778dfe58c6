#include "attention/explain.h"

#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <unordered_set>

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

/// The choices for one group: one for every kernel that computes some of its sequences.
std::vector<KernelChoice> choices_of(const AttentionGraph& graph, int g, DType dtype, int64_t dim,
                                     AttentionKernel wanted) {
  const auto schedule = graph.schedules().get(graph, wanted, dtype, dim);
  const KernelCosts costs = crossover_table().at(dtype, dim);
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
    for (size_t k = 0; k < kernels::kChoices.size(); ++k) {
      choice.milliseconds[k] +=
          kernels::work_of(sequence, kernels::kChoices[k]).nanoseconds(costs) / 1e6;
    }
    if (how.uses_tiles()) tile_pairs[how.kernel] += kernels::work_of(sequence, how.kernel).pairs;
  }
  std::vector<KernelChoice> result;
  for (auto& [kernel, choice] : choices) {
    if (pairs[kernel] > 0) choice.density = static_cast<double>(choice.edges) / pairs[kernel];
    choice.tiles = std::llround(tile_pairs[kernel] / kTilePairs);
    choice.why = reason(choice, wanted);
    result.push_back(std::move(choice));
  }
  return result;
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
      for (KernelChoice& choice : choices_of(graph, g, dtype, dim, wanted)) {
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
  std::string text = fmt::format("{:<8} {:<8} {:<6} {:>9} {:>10} {:>9} {:>8} {:>10} {:>8}  {}\n",
                                 "layers", "heads", "kernel", "sequences", "edges", "tiles",
                                 "density", "memory", "ms/head", "why");
  for (const KernelChoice& c : choices) {
    std::string time = "-";  // of the rows kernel nothing is forecast
    for (size_t k = 0; k < kernels::kChoices.size(); ++k) {
      if (kernels::kChoices[k] == c.kernel) time = fmt::format("{:.3f}", c.milliseconds[k]);
    }
    text += fmt::format("{:<8} {:<8} {:<6} {:>9} {:>10} {:>9} {:>8.4f} {:>10} {:>8}  {}\n",
                        ranges(c.layers), ranges(c.heads), name_of(c.kernel), c.sequences, c.edges,
                        c.tiles, c.density, human_bytes(c.bytes), time, c.why);
  }
  return text;
}

}  // namespace filigree
