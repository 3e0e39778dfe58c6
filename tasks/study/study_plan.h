// The runs of a study: every combination of levels and seeds, with its settings.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tasks/study/estimate.h"
#include "tasks/study/run_kind.h"
#include "tasks/study/run_store.h"
#include "tasks/study/study_file.h"

namespace filigree {

struct PlannedRun {
  std::vector<std::string> levels;  ///< of every axis, in their order
  uint64_t seed = 0;
  const RunKind* kind = nullptr;
  TrainConfig config;  ///< of a null model: that of its source
  std::string id;      ///< hash of all that bears on the result
  RunCost cost;
  std::optional<size_t> source;  ///< the place in the plan of what a null model is of
};

/// All runs, seeds innermost, the last axis fastest. `words` ("--section.name value") win over the
/// settings of the study's file, not over its levels. Runs whose settings come to the same have the
/// same id. Opens the datasets. Throws ConfigError: settings that do not go together, a pattern
/// that cannot be read, a word that sets what a level sets, a source that is not in the plan;
/// FileError, DataError for datasets.
std::vector<PlannedRun> plan_runs(const Study& study, std::span<const std::string> words = {});

/// As the store keeps it.
StudyRecord record_of(const Study& study, const std::vector<PlannedRun>& plan);

}  // namespace filigree
