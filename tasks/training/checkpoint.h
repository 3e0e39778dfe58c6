// Checkpoints: folders that are complete only when their manifest is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "nn/module.h"
#include "tasks/training/model_file.h"

namespace filigree {

/// Everything that a run needs to go on, beside weights and optimizer.
struct TrainState {
  int64_t step = 0;    ///< optimizer steps done
  int64_t cursor = 0;  ///< next batch of the sampler; also the key of dropout
  int64_t tokens = 0, skipped_steps = 0;
  double seconds = 0;      ///< training time, evaluations left out
  int64_t best_step = -1;  ///< -1: nothing evaluated yet
  double best_metric = 0;
  double best_density = 2;       ///< of the best model within a limit on the loss; 2: none is
  int64_t without_gain = 0;      ///< evaluations since the best
  int64_t skipped_in_a_row = 0;  ///< steps up to this one, because loss or gradient was not finite
};

struct LoadedCheckpoint {
  TrainState state;
  StateDict weights, optimizer;
  std::shared_ptr<const TokenVectors> vectors;  ///< see ModelInfo
};

/// The checkpoints `FOLDER/step-00000123` of a run.
class CheckpointStore {
 public:
  /// `keep`: how many to keep; `config_hash` binds them to the settings of the run.
  CheckpointStore(std::filesystem::path folder, int64_t keep, std::string config_hash);

  /// Writes model, optimizer and last the manifest, with size and checksum of each; then removes
  /// the oldest beyond `keep`, and those of later steps. On failure (FileError) the earlier ones
  /// still stand.
  void save(const TrainState& state, const ModelInfo& info, const StateDict& weights,
            const StateDict& optimizer) const;
  /// The newest whole checkpoint, nothing if none was ever finished. A damaged or unfinished one is
  /// passed over with a call of `warn`; throws CheckpointError if all finished ones are damaged,
  /// ConfigError if the settings differ.
  std::optional<LoadedCheckpoint> load_latest(
      const std::function<void(const std::string&)>& warn) const;

 private:
  std::vector<std::filesystem::path> list() const;  // newest first
  LoadedCheckpoint load(const std::filesystem::path& folder) const;

  std::filesystem::path folder_;
  int64_t keep_;
  std::string config_hash_;
};

}  // namespace filigree
