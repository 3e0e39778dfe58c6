// Training a model for a task, from settings to a run's folder.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tasks/training/checkpoint.h"
#include "tasks/training/metrics.h"
#include "tasks/training/train_config.h"

namespace filigree {

/// How training goes, after a step.
struct Progress {
  int64_t step = 0, steps = 0;
  double loss = 0;  ///< of this step, mean over its units
  double learning_rate = 0, gradient_norm = 0;
  double density = -1;           ///< expected, while degrees are learned; else -1
  double tokens_per_second = 0;  ///< since the start
  double seconds_left = 0;
  int64_t memory = 0;  ///< bytes held by tensors
};

/// What training tells while it runs. Empty functions are left out.
struct TrainObserver {
  std::function<void(const Progress&)> step = {};
  std::function<void(int64_t step, const Metrics&, bool best)> evaluated = {};
  std::function<void(const std::string&)> note = {};
  /// Before training: the settings with all that data, task and checkpoint decide (as config.ini).
  std::function<void(const TrainConfig&)> settings = {};
  /// The graphs of the first batch, and what computes on them where.
  std::function<void(const LayerGraphs&, const AttentionUse&, Device)> graphs = {};
  std::function<bool()> stop = {};  ///< asked after every step: true = save and return
};

struct TrainResult {
  TrainState state;
  Metrics last;  ///< of the last evaluation
  Metrics best;  ///< of the best model, if it was found in this process
  int64_t steps = 0;
  bool stopped = false;  ///< asked to stop before the end; resume goes on
  double tokens_per_second = 0;
  std::string metric;  ///< name of what state.best_metric is
  bool higher_is_better = true;
  std::string pattern;  ///< of the attention, with every match:density solved
};

/// Trains into `folder`: config.ini, metrics.jsonl (one JSON object a line: "train" and "evaluate"
/// records), checkpoints/, best/model.safetensors, tokenizer.model if the settings name one.
///
/// A step takes `accumulate` batches; its loss is the sum over their units (samples, labelled
/// words, ...: Task::units) divided by the number of units in the whole step, so that N batches
/// equal one N times as large. With `resume` it goes on from the newest whole checkpoint, and the
/// weights after N steps are the same bits as without the interruption (same build and number of
/// threads).
///
/// A match:density is solved on the training data first; what is written (config.ini, the model's
/// description) and hashed is the pattern that it gives, so that everything later has the same
/// graph. Token vectors of `lexical` are the input embeddings before the first step; the model file
/// keeps them.
///
/// Degrees, if degrees.learner names what they are learned by, have an optimizer and an objective
/// of their own (DegreeTraining); best/ then holds the model of the last evaluation (with the
/// objective loss the sparsest one whose loss was within the limit, if any was), and the attention
/// is what attention_pattern() gives.
///
/// Throws ConfigError, DataError (datasets that do not fit), FileError (nothing lost: checkpoints
/// stand), CheckpointError, NumericError (NaN or Inf under `nan = stop`: names op and module).
TrainResult train(const TrainConfig& config, const std::filesystem::path& folder, bool resume,
                  const TrainObserver& observer = {});

}  // namespace filigree
