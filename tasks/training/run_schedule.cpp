#include "tasks/training/run_schedule.h"

#include <algorithm>
#include <cmath>

namespace filigree {

RunSchedule::RunSchedule(const TrainConfig::Train& train, int64_t batches_per_epoch)
    : rate_(train.lr), steps_(train.steps) {
  if (steps_ == 0) {
    const double batches = train.epochs * static_cast<double>(batches_per_epoch);
    steps_ = std::max<int64_t>(
        1, static_cast<int64_t>(std::ceil(batches / static_cast<double>(train.accumulate))));
  }
  const double whole = static_cast<double>(steps_) / (train.schedule_to - train.schedule_from);
  first_ = std::llround(whole * train.schedule_from);
  schedule_.kind = parse_schedule(train.schedule);
  schedule_.steps = std::llround(whole);
  schedule_.warmup = std::llround(train.warmup * whole);
  schedule_.floor = train.floor;
  schedule_.decay = train.decay;
}

}  // namespace filigree
