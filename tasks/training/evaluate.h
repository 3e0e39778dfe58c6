// Evaluation of a model on a dataset, and its outputs for a batch.
#pragma once

#include <cstdint>
#include <functional>

#include "tasks/training/model_file.h"

namespace filigree {

/// What a model needs of a batch.
TokenBatch token_batch(const Model& model, const Batch& batch);

/// What a model gives for a batch, without gradients and dropout.
struct ModelOutputs {
  Tensor values;  ///< of Model::forward()
  LayerGraphs graphs;
};
ModelOutputs outputs_of(const Model& model, const AttentionPlan& plan, const Batch& batch,
                        uint64_t seed);

/// A model and all that says what it does.
struct ModelView {
  const ModelInfo& info;
  const Task& task;
  const Model& model;
};

/// Throws DataError unless the dataset holds what the task needs, with the classes of the model.
void expect_task_fits(const Task& task, const ModelInfo& info, const TokenDataset& dataset);

/// Loss and the task's metrics on every sample, and the exact density of the attention, or of
/// degrees that are not hardened the expected one. No
/// gradients, no dropout; random numbers are keyed by info.seed. `each`, if given, gets every batch
/// with the model's outputs, in dataset order. Throws DataError as above.
using OutputObserver = std::function<void(const Batch& batch, const Tensor& outputs)>;
Metrics evaluate(const ModelView& view, const AttentionPlan& plan, const TokenDataset& dataset,
                 int64_t batch_tokens = 8192, const OutputObserver& each = {});
/// What the model predicts for all that has a name in the dataset (Evaluation::predictions), under
/// its own attention. Throws DataError as above.
std::vector<NamedPrediction> predict_named(const LoadedModel& loaded, const TokenDataset& dataset,
                                           int64_t batch_tokens = 8192);
Metrics evaluate(const LoadedModel& loaded, const AttentionPlan& plan, const TokenDataset& dataset,
                 int64_t batch_tokens = 8192, const OutputObserver& each = {});

}  // namespace filigree
