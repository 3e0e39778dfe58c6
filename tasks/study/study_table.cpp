#include "tasks/study/study_table.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>
#include <unordered_map>

namespace filigree {

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/// What follows from the runs of a row.
void summarise(StudyRow& row) {
  if (row.runs.empty()) return;
  std::vector<double> values, speeds;
  for (const RunRecord& run : row.runs) {
    values.push_back(run.value);
    speeds.push_back(run.tokens_per_second);
    row.density += run.density / static_cast<double>(row.runs.size());
    row.memory_peak = std::max(row.memory_peak, run.memory_peak);
  }
  row.value = mean_interval(values);
  row.tokens_per_second = median(speeds);
}

std::vector<StudyRow> rows_of(const StudyRecord& study, const std::vector<RunRecord>& runs) {
  std::unordered_map<std::string, const RunRecord*> by_id;
  for (const RunRecord& run : runs) by_id[run.id] = &run;
  std::map<std::vector<std::string>, size_t> place;
  std::vector<StudyRow> rows;
  for (const PlannedRecord& planned : study.runs) {
    const auto [at, is_new] = place.emplace(planned.levels, rows.size());
    if (is_new) rows.push_back({planned.levels, 0, {}, {}, 0, 0, 0, {}, std::nan("")});
    StudyRow& row = rows[at->second];
    ++row.planned;
    const auto run = by_id.find(planned.id);
    if (run == by_id.end() || !std::isfinite(run->second->value)) continue;
    row.runs.push_back(*run->second);
    row.runs.back().seed = planned.seed;
  }
  for (StudyRow& row : rows) summarise(row);
  return rows;
}

/// Tests every row against the baseline's.
class Comparison {
 public:
  Comparison(const StudyRecord& study, std::vector<StudyRow>& rows) : rows_(rows) {
    const size_t equal = study.baseline.find('=');
    const auto axis =
        std::find(study.axes.begin(), study.axes.end(), study.baseline.substr(0, equal));
    if (study.baseline.empty() || axis == study.axes.end()) return;
    axis_ = static_cast<size_t>(axis - study.axes.begin());
    level_ = study.baseline.substr(equal + 1);
    for (const StudyRow& row : rows) {
      if (row.levels[axis_] == level_) baselines_.emplace(row.levels, &row);
    }
    for (StudyRow& row : rows) compare(row);
    adjust();
  }

 private:
  const StudyRow* baseline_of(const StudyRow& row) const {
    std::vector<std::string> levels = row.levels;
    levels[axis_] = level_;
    const auto exact = baselines_.find(levels);
    if (exact != baselines_.end()) return exact->second;
    const StudyRow* best = nullptr;
    int most = -1;
    for (const StudyRow& other : rows_) {  // in the plan's order, so that ties have one answer
      if (other.levels[axis_] != level_) continue;
      int common = 0;
      for (size_t a = 0; a < levels.size(); ++a) common += other.levels[a] == levels[a];
      if (common > most) best = &other;
      most = std::max(most, common);
    }
    return best;
  }

  void compare(StudyRow& row) const {
    if (row.levels[axis_] == level_) return;
    const StudyRow* baseline = baseline_of(row);
    if (baseline == nullptr) return;
    std::map<uint64_t, const RunRecord*> theirs;
    for (const RunRecord& run : baseline->runs) theirs[run.seed] = &run;
    std::vector<double> a, b;
    for (const RunRecord& run : row.runs) {
      const auto other = theirs.find(run.seed);
      if (other == theirs.end() || other->second->metric != run.metric) continue;
      a.push_back(run.value);
      b.push_back(other->second->value);
    }
    if (!a.empty()) row.difference = paired_test(a, b);
  }

  void adjust() {
    std::vector<double> p;
    for (const StudyRow& row : rows_) {
      p.push_back(row.difference ? row.difference->t_p : std::nan(""));
    }
    const std::vector<double> adjusted = holm(p);
    for (size_t r = 0; r < rows_.size(); ++r) rows_[r].adjusted_p = adjusted[r];
  }

  std::vector<StudyRow>& rows_;
  size_t axis_ = 0;
  std::string level_;
  std::map<std::vector<std::string>, const StudyRow*> baselines_;
};

/// "0.8123 +- 0.0101", the second number where there is one.
std::string with_spread(const Interval& interval, const char* format) {
  if (interval.n == 0) return "";
  const std::string mean = fmt::format(fmt::runtime(format), interval.mean);
  return interval.n < 2 ? mean : fmt::format("{} +- {:.4f}", mean, interval.half_width);
}

/// One cell of the text table after another, a column each.
struct Column {
  std::string head;
  bool left = false;
  std::vector<std::string> cells;
};

std::vector<Column> columns_of(const StudyTable& table) {
  std::vector<Column> columns;
  for (const std::string& axis : table.axes) columns.push_back({axis, true, {}});
  for (const char* head : {"metric", "density", "mean", "runs", "difference", "p", "tokens/s"}) {
    columns.push_back({head, false, {}});
  }
  for (const StudyRow& row : table.rows) {
    std::vector<std::string> cells = row.levels;
    const bool done = !row.runs.empty();
    cells.push_back(done ? row.runs.front().metric : "");
    cells.push_back(done ? fmt::format("{:.2f}%", 100 * row.density) : "");
    cells.push_back(with_spread(row.value, "{:.4f}"));
    cells.push_back(fmt::format("{}/{}", row.runs.size(), row.planned));
    cells.push_back(row.difference ? with_spread(row.difference->difference, "{:+.4f}") : "");
    cells.push_back(std::isfinite(row.adjusted_p) ? fmt::format("{:.3f}", row.adjusted_p) : "");
    cells.push_back(done ? fmt::format("{:.0f}", row.tokens_per_second) : "");
    for (size_t c = 0; c < cells.size(); ++c) columns[c].cells.push_back(cells[c]);
  }
  std::erase_if(columns, [](const Column& column) {
    return std::all_of(column.cells.begin(), column.cells.end(),
                       [](const auto& cell) { return cell.empty(); });
  });
  return columns;
}

}  // namespace

StudyRecord implied_study(const std::vector<RunRecord>& runs) {
  StudyRecord study;
  study.axes = {"pattern", "placement"};
  study.levels.resize(2);
  for (const RunRecord& run : runs) {
    study.runs.push_back({run.id, {run.pattern, run.layers}, run.seed});
    for (size_t a = 0; a < 2; ++a) {
      auto& levels = study.levels[a];
      const std::string& level = study.runs.back().levels[a];
      if (std::find(levels.begin(), levels.end(), level) == levels.end()) levels.push_back(level);
    }
  }
  return study;
}

StudyTable study_table(const StudyRecord& study, const std::vector<RunRecord>& runs) {
  StudyTable table;
  table.axes = study.axes;
  table.baseline = study.baseline;
  table.rows = rows_of(study, runs);
  for (const StudyRow& row : table.rows) {
    table.planned += row.planned;
    table.done += static_cast<int64_t>(row.runs.size());
  }
  Comparison(study, table.rows);
  return table;
}

StudyTable study_table(const RunStore& store) {
  const std::vector<RunRecord> runs = store.all();
  const std::optional<StudyRecord> study = store.study();
  return study_table(study ? *study : implied_study(runs), runs);
}

std::string to_text(const StudyTable& table) {
  std::vector<Column> columns = columns_of(table);
  std::string text;
  for (Column& column : columns) column.cells.insert(column.cells.begin(), column.head);
  for (size_t r = 0; r <= table.rows.size(); ++r) {
    std::string line;
    for (const Column& column : columns) {
      size_t width = 0;
      for (const std::string& cell : column.cells) width = std::max(width, cell.size());
      line += column.left ? fmt::format("{:<{}}  ", column.cells[r], width)
                          : fmt::format("{:>{}}  ", column.cells[r], width);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (!table.baseline.empty()) {
    text += fmt::format(
        "mean +- 95 % interval; difference from {}, paired by seed; p of the paired "
        "t-test, after Holm\n",
        table.baseline);
  }
  return text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? std::string("\"\"") : std::string(1, c);
  return field + "\"";
}

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

std::string to_csv(const StudyTable& table) {
  std::string text;
  for (const std::string& axis : table.axes) text += csv_field(axis) + ",";
  text +=
      "metric,planned,runs,density,mean,half_width,deviation,difference,difference_half_width,t_p,"
      "permutation_p,holm_p,cohen_d,tokens_per_second,memory_peak\n";
  for (const StudyRow& row : table.rows) {
    const bool done = !row.runs.empty();
    const double none = std::nan("");
    const PairedTest& test = row.difference.value_or(PairedTest{});
    const bool tested = row.difference.has_value();
    for (const std::string& level : row.levels) text += csv_field(level) + ",";
    text += fmt::format("{},{},{}", done ? csv_field(row.runs.front().metric) : "", row.planned,
                        row.runs.size());
    for (const double value :
         {done ? row.density : none, done ? row.value.mean : none, row.value.half_width,
          row.value.deviation, tested ? test.difference.mean : none,
          tested ? test.difference.half_width : none, tested ? test.t_p : none,
          tested ? test.permutation_p : none, row.adjusted_p, tested ? test.cohen_d : none,
          done ? row.tokens_per_second : none,
          done ? static_cast<double>(row.memory_peak) : none}) {
      text += "," + csv_number(value);
    }
    text += "\n";
  }
  return text;
}

}  // namespace filigree
