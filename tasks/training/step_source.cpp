#include "tasks/training/step_source.h"

#include <algorithm>
#include <utility>

namespace filigree {

namespace {

constexpr int64_t kMostAhead = 64;  // batches that are read while others are worked on

}  // namespace

StepSource::StepSource(const TrainConfig& config, const TokenDataset& data, const Sampler& sampler,
                       const Task& task, const AttentionPlan& plan, const AttentionUse& use,
                       int64_t cursor)
    : config_(config),
      task_(task),
      plan_(plan),
      use_(use),
      batches_per_epoch_(sampler.batches_per_epoch()),
      device_(parse_device(config.train.device)),
      batches_(data, sampler, cursor, -1,
               static_cast<int>(std::min(config.train.accumulate, kMostAhead)) + 2) {}

LayerGraphs graphs_of(const Batch& batch, const AttentionPlan& plan, const TrainConfig& config) {
  return plan.build(sequence_view(batch), config.train.seed, static_cast<uint64_t>(batch.cursor));
}

StepData StepSource::next() {
  if (failed_) std::rethrow_exception(failed_);
  return ahead_ ? *std::exchange(ahead_, std::nullopt) : make();
}

void StepSource::look_ahead() {
  if (device_.is_cpu() || ahead_) return;
  try {
    ahead_ = make();
  } catch (...) {
    failed_ = std::current_exception();
  }
}

StepData StepSource::make() {
  StepData made;
  for (int64_t k = 0; k < config_.train.accumulate; ++k) {
    made.batches.push_back(*batches_.next());
    Batch& batch = made.batches.back();
    task_.draw(batch, config_.order_seed(), 1 + batch.cursor / batches_per_epoch_);
    made.units += task_.units(batch);
    made.tokens += batch.tokens();
    if (device_.is_cpu()) continue;
    made.graphs.push_back(graphs_of(batch, plan_, config_));
    for (const auto& graph : made.graphs.back()) graph->prepare_for(device_, use_);
  }
  made.units = std::max<int64_t>(made.units, 1);  // a step may hold nothing to learn from
  return made;
}

}  // namespace filigree
