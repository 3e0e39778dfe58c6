#include "tasks/study/study.h"

#include <chrono>
#include <fmt/format.h>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/file_lock.h"
#include "tasks/study/machine.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

/// One process at work on a study.
class Worker {
 public:
  Worker(const Study& study, const std::vector<PlannedRun>& plan, const fs::path& folder,
         const std::string& version, const StudyObserver& observer)
      : study_(study),
        plan_(plan),
        folder_(folder),
        version_(version),
        machine_(machine_name()),
        observer_(observer),
        store_(store_path(folder)) {
    for (size_t k = 0; k < plan.size(); ++k) first_.emplace(plan[k].id, k);
  }

  StudyState run() {
    while (pass() && !halted()) {
    }
    StudyState state = study_state(plan_, store_);
    state.stopped = stopped_;
    state.out_of_budget = out_of_budget_;
    return state;
  }

 private:
  bool halted() const { return stopped_ || out_of_budget_; }

  /// Once through the plan. False if nothing is left to do or to wait for.
  bool pass() {
    bool worked = false, blocked = false;
    const PlannedRun* busy = nullptr;
    for (const auto& [id, k] : in_order()) {
      const PlannedRun& run = plan_[k];
      if (halted()) return true;
      if (settled(run)) continue;
      if (!ready(run)) {
        blocked = true;
        continue;
      }
      make_folders(run_folder(folder_, id));
      FileLock claim(run_folder(folder_, id) / "claim");
      if (!claim.try_lock()) {
        if (busy == nullptr) busy = &run;
        continue;
      }
      worked = true;
      if (!settled(run)) make(k);
    }
    // What was blocked may be free by now: another process ended what it comes from meanwhile.
    if (worked || busy == nullptr) return worked || blocked;
    if (observer_.waiting) observer_.waiting(*busy);
    FileLock claim(run_folder(folder_, busy->id) / "claim");
    stopped_ = !claim.wait(observer_.train.stop);
    return true;
  }

  /// The different runs by their place in the plan.
  std::vector<std::pair<std::string, size_t>> in_order() const {
    std::vector<std::pair<std::string, size_t>> all;
    for (size_t k = 0; k < plan_.size(); ++k) {
      if (first_.at(plan_[k].id) == k) all.emplace_back(plan_[k].id, k);
    }
    return all;
  }

  /// Done, or failed.
  bool settled(const PlannedRun& run) {
    if (known_.contains(run.id)) return true;
    const bool done = store_.contains(run.id);
    if (done) tidy(run.id);
    if (!done && !store_.failure(run.id)) return false;
    known_.insert(run.id);
    return true;
  }

  /// False if what it comes from is not there yet. What comes from a failure fails.
  bool ready(const PlannedRun& run) {
    if (!run.source) return true;
    const std::string& source = plan_[*run.source].id;
    if (store_.contains(source)) return true;
    if (store_.failure(source)) fail(run, "the run that it comes from failed");
    return false;
  }

  void fail(const PlannedRun& run, const std::string& error) {
    store_.put_failure(run.id, error);
    if (observer_.failed) observer_.failed(run, error);
  }

  void make(size_t k) {
    const PlannedRun& run = plan_[k];
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    if (study_.budget > 0 && spent.count() >= study_.budget) {
      out_of_budget_ = true;
      return;
    }
    if (observer_.begin) observer_.begin(k, run);
    RunRequest request{run.config, run_folder(folder_, run.id), nullptr, observer_.train};
    RunSource source;
    if (run.source) {
      const std::string& id = plan_[*run.source].id;
      source = {*store_.find(id), run_folder(folder_, id)};
      request.source = &source;
    }
    RunRecord record;
    try {
      record = run.kind->run(request, stopped_);
    } catch (const NumericError& error) {  // the others may do better
      return fail(run, error.what());
    }
    if (stopped_) return;
    record.id = run.id;
    record.command = run.kind->name;
    record.version = version_;
    record.machine = machine_;
    record.finished = utc_now();
    store_.put(record);
    tidy(run.id);
    if (observer_.end) observer_.end(run, record);
  }

  /// Removes what only an interrupted run needs.
  void tidy(const std::string& id) const {
    if (study_.keep == Keep::all) return;
    const fs::path folder = run_folder(folder_, id);
    std::error_code ignored;  // it is there again next time
    for (const char* stage : {"", "soft", "irregular", "finetune"}) {
      fs::remove_all(folder / stage / "checkpoints", ignored);
    }
  }

  const Study& study_;
  const std::vector<PlannedRun>& plan_;
  fs::path folder_;
  std::string version_, machine_;
  const StudyObserver& observer_;
  RunStore store_;
  std::map<std::string, size_t> first_;  // id -> its first place in the plan
  std::set<std::string> known_;          // settled runs
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool stopped_ = false, out_of_budget_ = false;
};

}  // namespace

fs::path store_path(const fs::path& folder) { return folder / "runs.sqlite"; }

fs::path run_folder(const fs::path& folder, const std::string& id) { return folder / "runs" / id; }

void start_study(const Study& study, const std::vector<PlannedRun>& plan, const fs::path& folder) {
  make_folders(folder);
  RunStore store(store_path(folder));
  store.put_study(record_of(study, plan));
  store.forget_failures();
}

StudyState run_study(const Study& study, const std::vector<PlannedRun>& plan,
                     const fs::path& folder, const std::string& version,
                     const StudyObserver& observer) {
  return Worker(study, plan, folder, version, observer).run();
}

StudyState study_state(const std::vector<PlannedRun>& plan, const RunStore& store) {
  StudyState state;
  std::set<std::string> seen;
  for (const PlannedRun& run : plan) {
    if (!seen.insert(run.id).second) continue;
    if (store.contains(run.id)) {
      ++state.done;
    } else if (store.failure(run.id)) {
      ++state.failed;
    } else {
      ++state.left;
    }
  }
  return state;
}

}  // namespace filigree
