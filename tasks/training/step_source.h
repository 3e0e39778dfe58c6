// What the steps of a training run work on: batches with their targets and graphs.
#pragma once

#include <exception>
#include <optional>
#include <vector>

#include "attention/placement.h"
#include "tasks/dataset/batch.h"
#include "tasks/task/task.h"
#include "tasks/training/train_config.h"

namespace filigree {

/// The batches that one step's gradient is summed over.
struct StepData {
  std::vector<Batch> batches;
  std::vector<LayerGraphs> graphs;  ///< of the batches; empty: to be made when it is their turn
  int64_t units = 0;                ///< what the loss is a mean over; at least 1
  int64_t tokens = 0;
};

/// The graphs of a batch, a pure function of the settings and its cursor. Throws DataError.
LayerGraphs graphs_of(const Batch& batch, const AttentionPlan& plan, const TrainConfig& config);

/// Step after step from a cursor on, as often as it is asked. What a step holds is a pure function
/// of the settings and the cursor, whenever it is made. Throws DataError.
class StepSource {
 public:
  StepSource(const TrainConfig& config, const TokenDataset& data, const Sampler& sampler,
             const Task& task, const AttentionPlan& plan, const AttentionUse& use, int64_t cursor);

  StepData next();
  /// Makes the next step's data now, graphs included, while the device is busy with this one's; on
  /// the CPU, which has no time to spare, nothing. What is thrown meanwhile next() throws.
  void look_ahead();

 private:
  StepData make();

  const TrainConfig& config_;
  const Task& task_;
  const AttentionPlan& plan_;
  AttentionUse use_;
  int64_t batches_per_epoch_;
  Device device_;
  Prefetcher batches_;
  std::optional<StepData> ahead_;
  std::exception_ptr failed_;
};

}  // namespace filigree
