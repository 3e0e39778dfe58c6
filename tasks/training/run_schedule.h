// How many steps a run has, and the learning rate of each.
#pragma once

#include "nn/schedules.h"
#include "tasks/training/train_config.h"

namespace filigree {

/// train.steps, or as many as train.epochs need; the run may be a part of its schedule
/// (train.schedule_from, train.schedule_to).
class RunSchedule {
 public:
  RunSchedule(const TrainConfig::Train& train, int64_t batches_per_epoch);

  int64_t steps() const { return steps_; }
  /// Of step `step`, from 0.
  double learning_rate(int64_t step) const { return rate_ * schedule_.factor(first_ + step); }

 private:
  Schedule schedule_;
  double rate_;
  int64_t steps_, first_;  // of the run; where in the schedule it begins
};

}  // namespace filigree
