// Study: a grid of runs over pattern x placement x seed, and its table.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tasks/study/run_store.h"
#include "tasks/training/trainer.h"

namespace filigree {

struct StudyGrid {
  std::vector<std::string> patterns{"dense"};
  std::vector<std::string> placements{"all"};  ///< layers; nothing for a dense pattern
  std::vector<uint64_t> seeds{1};

  /// The settings of every run: `base` with pattern, placement and seed put in, seeds innermost.
  /// A dense pattern is run once a seed, whatever the placements.
  std::vector<TrainConfig> runs(const TrainConfig& base) const;
};

struct StudyObserver {
  std::function<void(size_t number, size_t count, const TrainConfig&, bool done_before)> begin;
  std::function<void(const RunRecord&)> end;
  /// A run ended in a NumericError; without this the study ends with it, with it the study goes on.
  std::function<void(const TrainConfig&, const std::string& error)> failed = {};
  TrainObserver train;
};

/// Trains every run that the store FOLDER/runs.sqlite does not hold yet, each in a folder of its
/// own, FOLDER/runs/ID; a run that was cut off is resumed. Every pattern and placement is checked
/// before the first run starts. Returns the runs of this grid, in its order; fewer if stopped.
std::vector<RunRecord> run_study(const TrainConfig& base, const StudyGrid& grid,
                                 const std::filesystem::path& folder,
                                 const StudyObserver& observer = {});

/// One line a (pattern, placement): density, metric as mean and sample standard deviation over the
/// seeds, tokens/s as median. Rows in the order of the first run.
struct StudyRow {
  std::string pattern, placement;
  double density = 1, mean = 0, deviation = 0, tokens_per_second = 0;
  int64_t runs = 0;
};
std::vector<StudyRow> summarise(const std::vector<RunRecord>& runs);
/// As a text table, and as CSV.
std::string to_table(const std::vector<StudyRow>& rows, const std::string& metric);
std::string to_csv(const std::vector<StudyRow>& rows, const std::string& metric);

}  // namespace filigree
