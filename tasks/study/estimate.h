// What a study will take: time and disk.
#pragma once

#include <cstdint>
#include <string>

#include "nn/encoder_config.h"
#include "tasks/dataset/dataset.h"
#include "tasks/training/train_config.h"

namespace filigree {

struct PlannedRun;
struct Study;
class RunStore;

/// Of one run.
struct RunCost {
  double operations = 0;  ///< multiplications and additions, about: for comparing runs
  int64_t bytes = 0;      ///< that its folder keeps: models, and with Keep::all checkpoints
  int64_t working = 0;    ///< that it holds beside these while it runs
};

/// A token's forward and backward pass takes 6 operations a weight of the L (4 E^2 + 2 E F) of the
/// layers and 12 E an edge of a layer, counted as if attention were dense; an evaluated token a
/// third. `work`: optimizer steps over those of the settings.
RunCost cost_of(const TrainConfig& config, const EncoderConfig& encoder, const TokenDataset& train,
                const TokenDataset& dev, double work);

struct StudyEstimate {
  double seconds = 0;     ///< of the runs that are left, by this many processes
  int64_t bytes = 0;      ///< on disk: what is kept of them, and the most that is needed meanwhile
  bool measured = false;  ///< from the study's own runs; else from the speed of a matrix product
};

/// Of the runs that the store (null: none yet) does not have. Cost: 0.1 s where nothing was
/// measured.
StudyEstimate estimate(const std::vector<PlannedRun>& plan, const RunStore* store, int workers);

}  // namespace filigree
