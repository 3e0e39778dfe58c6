// What training does for degrees beside the task's loss: their objective, optimizer and steps.
#pragma once

#include <memory>
#include <span>

#include "attention/degrees/objective.h"
#include "nn/degrees/degree_learner.h"
#include "nn/optimizer.h"
#include "tasks/dataset/batch.h"
#include "tasks/training/metrics.h"
#include "tasks/training/train_config.h"

namespace filigree {

/// The learner of an encoder in training. In a step: add_objective() when the task's gradients are
/// there, then step(), or only zero_grad() where the step is skipped.
///
/// The objective is that of the settings in the mean density of the step's batches, plus
/// kappa H(p), kappa rising linearly from 0 to `entropy`. AdamW without decay, with a rate and a
/// clip of its own and a short memory, beta2 = 0.95: a softmax leaves a vertex by gradients that
/// are small and always the same, which a long memory of large ones drowns (measured: with 0.999
/// heads stay at the reach where their distribution first became sharp). For the first `hold` of
/// the steps the parameters stand still.
class DegreeTraining {
 public:
  /// `parameters`: the learner's, under their names in the model. Both outlive the training.
  DegreeTraining(const TrainConfig& config, DegreeLearner& learner, NamedParameters parameters,
                 int64_t steps);

  /// Adds the objective's gradients; task_loss: of the step, without it. Returns the expected
  /// density of the batches. Throws NumericError unless it is finite.
  double add_objective(int64_t step, double task_loss, std::span<const Batch> batches);
  double gradient_norm() const { return optimizer_->gradient_norm(); }
  /// Moves the parameters and, when it is its turn, the multiplier. task_loss: as before.
  void step(int64_t step, double density, double task_loss);
  void zero_grad() { optimizer_->zero_grad(); }

  /// Of the models that were evaluated, this one is to be kept: the newest, since one that is
  /// better because it is denser is none; under a limit on the loss the sparsest within it, or the
  /// newest while none is. best_density: of the best one within the limit, above 1 if none was.
  bool keeps(const Metrics& now, double& best_density) const;
  bool misses_limit(double best_density) const { return has_limit() && best_density > 1; }
  const ObjectiveState& state() const { return state_; }
  /// Of optimizer and multiplier, every name with "degrees." in front. Loading is strict
  /// (CheckpointError) and leaves other names alone.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 private:
  bool has_limit() const { return objective_.kind == ObjectiveKind::loss; }

  TrainConfig::Degrees settings_;
  DegreeLearner& learner_;
  DensityObjective objective_;
  ObjectiveState state_;
  std::unique_ptr<Optimizer> optimizer_;
};

/// The entries of a state whose names begin with "degrees.", and the others.
std::pair<StateDict, StateDict> split_degrees(const StateDict& state);

}  // namespace filigree
