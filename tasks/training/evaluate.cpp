#include "tasks/training/evaluate.h"

#include <chrono>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <optional>

#include "core/error.h"
#include "tasks/training/degree_attention.h"

namespace filigree {

TokenBatch token_batch(const Model& model, const Batch& batch) {
  return {batch.ids,
          batch.positions,
          batch.segments,
          batch.offsets,
          always_on(model.encoder().config().degrees, batch),
          batch.hidden};
}

ModelOutputs outputs_of(const Model& model, const AttentionPlan& plan, const Batch& batch,
                        uint64_t seed) {
  const NoGrad no_grad;
  ModelOutputs outputs;
  outputs.graphs = plan.build(sequence_view(batch), seed, 0);
  outputs.values = model.forward(token_batch(model, batch), outputs.graphs, {}).value().to(kCpu);
  return outputs;
}

void expect_task_fits(const Task& task, const ModelInfo& info, const TokenDataset& dataset) {
  task.expect_data(dataset);
  if (task.label_names(dataset) == info.label_names) return;
  throw DataError(
      dataset.path().string(),
      fmt::format("its labels differ from the model's: {} and {}",
                  fmt::join(task.label_names(dataset), ","), fmt::join(info.label_names, ",")),
      "prepare it with --labels, the model's in their order");
}

namespace {

/// The density of what a model attends to in some batches.
class ModelDensity {
 public:
  explicit ModelDensity(const Model& model) : learner_(model.encoder().degrees()) {
    if (learner_) counts_.emplace(learner_->shape().config.reach);
  }
  void add(const Batch& batch, const LayerGraphs& graphs) {
    if (counts_) return counts_->add(count_pairs(learner_->shape().config, batch));
    exact_.add(graphs);
  }
  double mean() const {
    const NoGrad no_grad;
    return counts_ ? expected_density(*learner_, *counts_).value().item() : exact_.mean();
  }
  std::vector<double> layers() const {
    std::vector<double> all;
    for (size_t l = 0; l < exact_.layers(); ++l) all.push_back(exact_.layer(l));
    return all;
  }

 private:
  const DegreeLearner* learner_;  // null: the graphs say it all
  std::optional<DistanceCounts> counts_;
  DensityMeter exact_;
};

/// All samples in dataset order.
std::unique_ptr<Evaluation> gather(const ModelView& view, const AttentionPlan& plan,
                                   const TokenDataset& dataset, int64_t batch_tokens,
                                   const OutputObserver& each, ModelDensity& density) {
  const auto& [info, task, model] = view;
  expect_task_fits(task, info, dataset);
  SamplerOptions options;
  options.token_budget = batch_tokens;
  options.shuffle = false;
  const Sampler sampler(dataset, options);
  Prefetcher batches(dataset, sampler, 0, sampler.batches_per_epoch());
  std::unique_ptr<Evaluation> evaluation = task.evaluation(info, dataset);
  while (std::optional<Batch> batch = batches.next()) {
    task.draw(*batch, info.seed, kEvaluationEpoch);
    const ModelOutputs outputs = outputs_of(model, plan, *batch, info.seed);
    density.add(*batch, outputs.graphs);
    evaluation->add(model, outputs.values, *batch);
    if (each) each(*batch, outputs.values);
  }
  return evaluation;
}

}  // namespace

Metrics evaluate(const ModelView& view, const AttentionPlan& plan, const TokenDataset& dataset,
                 int64_t batch_tokens, const OutputObserver& each) {
  const auto start = std::chrono::steady_clock::now();
  ModelDensity density(view.model);
  const auto evaluation = gather(view, plan, dataset, batch_tokens, each, density);
  Metrics metrics;
  evaluation->finish(metrics);
  metrics.samples = dataset.size();
  metrics.tokens = dataset.tokens();
  metrics.density = density.mean();
  metrics.layer_density = density.layers();
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return metrics;
}

std::vector<NamedPrediction> predict_named(const LoadedModel& loaded, const TokenDataset& dataset,
                                           int64_t batch_tokens) {
  ModelDensity density(*loaded.model);
  return gather({loaded.info, *loaded.task, *loaded.model}, loaded.info.plan(), dataset,
                batch_tokens, {}, density)
      ->predictions();
}

Metrics evaluate(const LoadedModel& loaded, const AttentionPlan& plan, const TokenDataset& dataset,
                 int64_t batch_tokens, const OutputObserver& each) {
  return evaluate({loaded.info, *loaded.task, *loaded.model}, plan, dataset, batch_tokens, each);
}

}  // namespace filigree
