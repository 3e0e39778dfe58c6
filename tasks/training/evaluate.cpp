#include "tasks/training/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>

#include "autograd/ops/softmax.h"
#include "core/error.h"

namespace filigree {

namespace {

struct Outputs {
  Tensor log_probabilities;  // (B, C)
  LayerGraphs graphs;
};

Outputs run(const SequenceClassifier& model, const AttentionPlan& plan, const Batch& batch,
            uint64_t seed) {
  const NoGrad no_grad;
  Outputs outputs;
  outputs.graphs = plan.build(sequence_view(batch), seed, 0);
  outputs.log_probabilities =
      log_softmax(model.forward(token_batch(batch), outputs.graphs, {})).value();
  return outputs;
}

}  // namespace

TokenBatch token_batch(const Batch& batch) {
  return {batch.ids, batch.positions, batch.segments, batch.offsets};
}

std::vector<std::vector<double>> predict(const SequenceClassifier& model, const AttentionPlan& plan,
                                         const Batch& batch, uint64_t seed) {
  const Tensor log_probabilities = run(model, plan, batch, seed).log_probabilities;
  const int64_t classes = model.classes();
  std::vector<std::vector<double>> rows(static_cast<size_t>(batch.sequences()));
  for (int64_t i = 0; i < log_probabilities.numel(); ++i) {
    rows[static_cast<size_t>(i / classes)].push_back(std::exp(log_probabilities.at(i)));
  }
  return rows;
}

Metrics evaluate(const SequenceClassifier& model, const AttentionPlan& plan,
                 const TokenDataset& dataset, uint64_t seed, int64_t batch_tokens,
                 const std::function<void(int64_t, const std::vector<double>&)>& each) {
  if (!dataset.has_labels() || dataset.classes() != model.classes()) {
    throw DataError(
        dataset.path().string(),
        fmt::format("expected labels of {} classes, got {}", model.classes(), dataset.classes()),
        "prepare the dataset with the labels that the model was trained on");
  }
  const auto start = std::chrono::steady_clock::now();
  SamplerOptions options;
  options.token_budget = batch_tokens;
  options.shuffle = false;
  const Sampler sampler(dataset, options);
  Prefetcher batches(dataset, sampler, 0, sampler.batches_per_epoch());
  ConfusionMatrix confusion(model.classes());
  DensityMeter density;
  Metrics metrics;
  while (const std::optional<Batch> batch = batches.next()) {
    const Outputs outputs = run(model, plan, *batch, seed);
    density.add(outputs.graphs);
    std::vector<double> row(static_cast<size_t>(model.classes()));
    for (int64_t b = 0; b < batch->sequences(); ++b) {
      for (size_t c = 0; c < row.size(); ++c) {
        row[c] = outputs.log_probabilities.at(b * model.classes() + static_cast<int64_t>(c));
      }
      const int64_t truth = batch->labels.data<int32_t>()[b];
      metrics.loss -= row[static_cast<size_t>(truth)];
      confusion.add(truth, std::max_element(row.begin(), row.end()) - row.begin());
      if (!each) continue;
      for (double& value : row) value = std::exp(value);
      each(batch->samples[static_cast<size_t>(b)], row);
    }
  }
  metrics.samples = dataset.size();
  metrics.tokens = dataset.tokens();
  metrics.loss /= static_cast<double>(dataset.size());
  metrics.accuracy = confusion.accuracy();
  metrics.f1 = confusion.f1();
  metrics.matthews = confusion.matthews();
  metrics.density = density.mean();
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return metrics;
}

}  // namespace filigree
