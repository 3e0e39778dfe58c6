// What a run starts with: the task, the model's shape and its first weights.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/optimizer.h"
#include "tasks/training/model_file.h"
#include "tasks/training/train_config.h"

namespace filigree {

struct ModelSetup {
  TrainConfig config;  ///< with what the task and a checkpoint decide: task, metric, shape
  ModelInfo info;
  std::shared_ptr<const Task> task;
  MetricKind metric;  ///< by which the best model is chosen
  std::unique_ptr<Model> model;
  NamedParameters learning;        ///< parameters that are not frozen, but for degrees
  NamedParameters degrees;         ///< those of the encoder's degrees
  std::vector<std::string> notes;  ///< what came from a checkpoint
};

/// The task is train.task, else that of the training data. Weights are drawn by train.seed, the
/// head's by model.head_seed; with model.init the encoder (and BERT's pooler, if both have one) are
/// those of a model file, which also gives the encoder's shape: a setting of the shape that was
/// given and differs is an error; with model.init_head the head is, too. Frozen parameters lose
/// their gradient.
///
/// Throws ConfigError; DataError for datasets that do not fit the task, each other or the
/// checkpoint; FileError and CheckpointError for the checkpoint.
ModelSetup set_up_model(const TrainConfig& config, const TokenDataset& train,
                        const TokenDataset& dev);

/// Of the parameters that learn, each at its layer's rate.
std::unique_ptr<Optimizer> make_optimizer(const TrainConfig::Train& train, const ModelSetup& setup);

}  // namespace filigree
