#include "tasks/training/degree_attention.h"

#include <fmt/format.h>
#include <optional>

#include "attention/degrees/degree_gate.h"
#include "attention/placement.h"
#include "autograd/ops/arithmetic.h"
#include "core/error.h"

namespace filigree {

namespace {

/// The tokens that see their whole sequence. Any other one must see exactly these and itself.
void add_globals(const SequenceGraph& graph, const std::string& pattern, AlwaysOn& always) {
  const int64_t n = graph.length();
  std::vector<int32_t> row(static_cast<size_t>(n)), chosen;
  for (int64_t i = 0; i < n; ++i) {
    if (graph.row(i, row.data()) == n) chosen.push_back(static_cast<int32_t>(i));
  }
  const auto count = static_cast<int64_t>(chosen.size());
  if (graph.edges() != count * n + (n - count) * (count + 1)) {
    throw ConfigError(
        "degrees.globals",
        fmt::format("\"{}\" chooses no tokens that see all and are seen by all", pattern),
        "give none, or global:cls, global:special, global:first=k, global:every=k");
  }
  always.tokens.insert(always.tokens.end(), chosen.begin(), chosen.end());
  always.bounds.push_back(static_cast<int64_t>(always.tokens.size()));
}

}  // namespace

std::string attention_pattern(const DegreeConfig& degrees) {
  const std::string window = fmt::format("neighbour:{}", degrees.reach);
  return degrees.globals == "none" ? window : window + "|" + degrees.globals;
}

std::shared_ptr<const AlwaysOn> always_on(const DegreeConfig& degrees, const Batch& batch) {
  if (!degrees.learned() || degrees.globals == "none") return nullptr;
  const AttentionPlan plan(degrees.globals, "all", "all", 1, 1);
  const LayerGraphs graphs = plan.build(sequence_view(batch), 0, 0);
  auto always = std::make_shared<AlwaysOn>();
  always->bounds.push_back(0);
  for (int64_t b = 0; b < graphs.front()->sequences(); ++b) {
    add_globals(graphs.front()->sequence(0, b), degrees.globals, *always);
  }
  return always;
}

DistanceCounts count_pairs(const DegreeConfig& degrees, const Batch& batch) {
  const std::shared_ptr<const AlwaysOn> always = always_on(degrees, batch);
  DistanceCounts counts(degrees.reach);
  const int64_t* bounds = batch.offsets.data<int64_t>();
  for (int64_t b = 0; b + 1 < batch.offsets.numel(); ++b) {
    counts.add(bounds[b + 1] - bounds[b], always ? always->of(b) : std::span<const int32_t>());
  }
  return counts;
}

DistanceCounts count_pairs(const DegreeConfig& degrees, const TokenDataset& dataset) {
  SamplerOptions options;
  options.token_budget = 1 << 16;
  options.shuffle = false;
  const Sampler sampler(dataset, options);
  Prefetcher batches(dataset, sampler, 0, sampler.batches_per_epoch());
  DistanceCounts counts(degrees.reach);
  while (const std::optional<Batch> batch = batches.next()) {
    counts.add(count_pairs(degrees, *batch));
  }
  return counts;
}

Variable expected_density(const DegreeLearner& learner, const DistanceCounts& counts) {
  const auto layers = static_cast<int>(learner.shape().layers);
  Variable sum;
  for (int layer = 0; layer < layers; ++layer) {
    const Variable density = expected_density(learner.open(layer), counts);
    sum = sum.defined() ? add(sum, density) : density;
  }
  return scale(sum, 1.0 / layers);
}

}  // namespace filigree
