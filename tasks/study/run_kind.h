// RunKind: how a run of a study is made.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "tasks/study/run_record.h"
#include "tasks/training/trainer.h"

namespace filigree {

/// The run that a null model is of.
struct RunSource {
  RunRecord record;  ///< without details
  std::filesystem::path folder;
};

struct RunRequest {
  TrainConfig config;
  std::filesystem::path folder;       ///< of this run; what an interrupted one left is gone on with
  const RunSource* source = nullptr;  ///< where the kind needs one
  TrainObserver observer = {};
};

/// A way to make a run. `run` fills the record but for id, command, version and machine, and sets
/// `stopped` if it was asked to stop: then there is no record.
struct RunKind {
  const char* name;
  const char* meaning;
  bool of_another = false;  ///< needs `run.from`
  /// Throws ConfigError for settings that this kind cannot do. Before anything is run.
  void (*check)(const TrainConfig&);
  /// What bears on the result beside TrainConfig::hash().
  std::string (*identity)(const TrainConfig&);
  /// Optimizer steps of the run over those of the settings (stages that follow).
  double (*work)(const TrainConfig&);
  RunRecord (*run)(const RunRequest&, bool& stopped);
};

/// All kinds: a kind is a file kind_NAME.cpp and a line in the table of run_kind.cpp.
std::span<const RunKind> run_kinds();
/// Throws ConfigError that offers the nearest name.
const RunKind& find_run_kind(const std::string& name);

/// Of a run that train() made in `folder`: its metric, density, speed, the pattern that was solved,
/// evaluations, and the training loss at no more than 200 steps.
RunRecord record_of(const TrainConfig& config, const TrainResult& result,
                    const std::filesystem::path& folder);

}  // namespace filigree
