// The result of a study as a table: a row a combination of levels, over its seeds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tasks/study/run_store.h"
#include "tasks/study/statistics.h"

namespace filigree {

struct StudyRow {
  std::vector<std::string> levels;  ///< of every axis
  int64_t planned = 0;              ///< seeds
  std::vector<RunRecord> runs;      ///< that are done with a finite value, in the plan's order
  Interval value;                   ///< of the metric over the runs, 95 %; n = 0 without runs
  double density = 0;               ///< mean
  double tokens_per_second = 0;     ///< median
  int64_t memory_peak = 0;          ///< largest
  /// Against the row with the baseline's level and otherwise these levels, or where there is none,
  /// the row with that level that has most levels in common; paired by seed. None for the baseline
  /// itself, without one, and without common seeds.
  std::optional<PairedTest> difference;
  double adjusted_p = 0;  ///< t_p after Holm, over all rows of the table; NaN without a test
};

struct StudyTable {
  std::vector<std::string> axes;
  std::string baseline;  ///< "axis=level", or empty
  std::vector<StudyRow> rows;
  int64_t planned = 0, done = 0;  ///< places of the plan
};

/// The plan that the runs of a store without one follow: by pattern and placement.
StudyRecord implied_study(const std::vector<RunRecord>& runs);
/// What the plan asks for, with the runs that there are.
StudyTable study_table(const StudyRecord& study, const std::vector<RunRecord>& runs);
/// Of all that a store has. One without a plan: its runs by pattern and placement.
StudyTable study_table(const RunStore& store);

/// Columns of text; without those that say nothing (no baseline).
std::string to_text(const StudyTable& table);
/// All columns, RFC 4180. Numbers that there are not are empty.
std::string to_csv(const StudyTable& table);

/// A value of a CSV file: in quotation marks where it needs them.
std::string csv_field(const std::string& text);
/// A number of a CSV file; nothing if it is not finite.
std::string csv_number(double value);

}  // namespace filigree
