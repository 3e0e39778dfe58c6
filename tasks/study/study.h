// Running a study: every planned run once, by any number of processes, whatever interrupts them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tasks/study/study_plan.h"

namespace filigree {

/// What running a study tells. Empty functions are left out.
struct StudyObserver {
  std::function<void(size_t place, const PlannedRun&)> begin = {};
  std::function<void(const PlannedRun&, const RunRecord&)> end = {};
  std::function<void(const PlannedRun&, const std::string& error)> failed = {};
  std::function<void(const PlannedRun&)> waiting = {};  ///< another process is making it
  TrainObserver train = {};
};

struct StudyState {
  size_t done = 0, failed = 0, left = 0;  ///< of the different runs
  bool stopped = false;                   ///< asked to
  bool out_of_budget = false;
};

/// The folder of a study: FOLDER/runs.sqlite (RunStore) and a run a folder, FOLDER/runs/ID.
std::filesystem::path store_path(const std::filesystem::path& folder);
std::filesystem::path run_folder(const std::filesystem::path& folder, const std::string& id);

/// Makes the folder and its store, notes the plan in it and forgets failures: before run_study(),
/// by one process. Throws FileError.
void start_study(const Study& study, const std::vector<PlannedRun>& plan,
                 const std::filesystem::path& folder);

/// Makes every planned run that the store does not have, in the plan's order. Several processes may
/// do so at once: a run is made by the one that holds FOLDER/runs/ID/claim, which the system lets
/// go of when a process ends, however it ends; the next to come goes on from the run's checkpoint,
/// and the run is in the store whole or not at all. Returns once no run is left, or when asked to
/// stop or out of `study.budget` seconds. A run that ends in a NumericError is noted as failed, and
/// those that come from it, too. With Keep::best the checkpoints of a run are removed once the
/// store has it. `version`: of the code. Throws FileError (nothing lost), and what runs throw.
StudyState run_study(const Study& study, const std::vector<PlannedRun>& plan,
                     const std::filesystem::path& folder, const std::string& version,
                     const StudyObserver& observer = {});

/// How far the store is with the plan.
StudyState study_state(const std::vector<PlannedRun>& plan, const RunStore& store);

}  // namespace filigree
