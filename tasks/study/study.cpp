#include "tasks/study/study.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "attention/placement.h"
#include "core/error.h"
#include "tasks/dataset/dataset.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

RunRecord train_one(const TrainConfig& config, const std::string& id, const fs::path& folder,
                    const TrainObserver& observer, bool& stopped) {
  const TrainResult result = train(config, folder, true, observer);
  stopped = result.stopped;
  RunRecord run;
  run.id = id;
  run.pattern = config.attention.pattern;
  run.layers = config.attention.layers;
  run.heads = config.attention.heads;
  run.seed = config.train.seed;
  run.metric = result.metric;
  run.value = result.state.best_metric;
  run.density = result.last.density;
  run.tokens_per_second = result.tokens_per_second;
  run.seconds = result.state.seconds;
  run.best_step = result.state.best_step;
  run.steps = result.steps;
  TrainConfig solved = config;  // the pattern that a match:density gave, to run it again alone
  solved.attention.pattern = result.pattern;
  run.details.config = solved.to_ini();
  run.command = "train";
  return run;
}

template <class T>
void expect_distinct(std::vector<T> values, std::string_view option) {
  std::sort(values.begin(), values.end());
  const auto twice = std::adjacent_find(values.begin(), values.end());
  if (twice == values.end()) return;
  throw ConfigError(option, fmt::format("{} is named twice", *twice), "name each once");
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

}  // namespace

std::vector<TrainConfig> StudyGrid::runs(const TrainConfig& base) const {
  std::vector<TrainConfig> all;
  for (const std::string& pattern : patterns) {
    const bool dense = pattern == "dense";
    for (const std::string& placement : placements) {
      if (dense && placement != placements.front()) continue;
      for (const uint64_t seed : seeds) {
        TrainConfig config = base;
        config.attention.pattern = pattern;
        config.attention.layers = dense ? "all" : placement;
        config.train.seed = seed;
        all.push_back(std::move(config));
      }
    }
  }
  return all;
}

std::vector<RunRecord> run_study(const TrainConfig& base, const StudyGrid& grid,
                                 const fs::path& folder, const StudyObserver& observer) {
  expect_distinct(grid.patterns, "pattern");
  expect_distinct(grid.placements, "placement");
  expect_distinct(grid.seeds, "seeds");
  const std::vector<TrainConfig> configs = grid.runs(base);
  if (configs.empty()) {
    throw ConfigError("ablate", "the grid is empty", "give --pattern, --placement and --seeds");
  }
  for (const TrainConfig& config : configs) {
    config.validate();
    AttentionPlan(config.attention.pattern, config.attention.layers, config.attention.heads,
                  static_cast<int>(config.model.layers), static_cast<int>(config.model.heads));
  }
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) throw FileError(folder.string(), "cannot make the folder: " + problem.message());
  const TokenDataset train_data = TokenDataset::open(base.data.train);
  const TokenDataset dev_data = TokenDataset::open(base.data.dev);
  RunStore store(folder / "runs.sqlite");
  std::vector<RunRecord> records;
  for (size_t i = 0; i < configs.size(); ++i) {
    const std::string id = configs[i].hash(train_data, dev_data);
    std::optional<RunRecord> run = store.find(id);
    if (observer.begin) observer.begin(i, configs.size(), configs[i], run.has_value());
    if (!run) {
      bool stopped = false;
      try {
        run = train_one(configs[i], id, folder / "runs" / id, observer.train, stopped);
      } catch (const NumericError& error) {  // the others may do better
        if (!observer.failed) throw;
        observer.failed(configs[i], error.what());
        continue;
      }
      if (stopped) return records;
      store.put(*run);
    }
    if (observer.end) observer.end(*run);
    records.push_back(*run);
  }
  return records;
}

std::vector<StudyRow> summarise(const std::vector<RunRecord>& runs) {
  std::vector<StudyRow> rows;
  std::vector<std::vector<double>> values, speeds;
  for (const RunRecord& run : runs) {
    size_t r = 0;
    while (r < rows.size() && (rows[r].pattern != run.pattern || rows[r].placement != run.layers)) {
      ++r;
    }
    if (r == rows.size()) {
      rows.push_back({run.pattern, run.layers, 0, 0, 0, 0, 0});
      values.emplace_back();
      speeds.emplace_back();
    }
    rows[r].density += run.density;
    ++rows[r].runs;
    values[r].push_back(run.value);
    speeds[r].push_back(run.tokens_per_second);
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto count = static_cast<double>(rows[r].runs);
    rows[r].density /= count;
    for (const double value : values[r]) rows[r].mean += value / count;
    double squares = 0;
    for (const double value : values[r]) squares += (value - rows[r].mean) * (value - rows[r].mean);
    rows[r].deviation = rows[r].runs > 1 ? std::sqrt(squares / (count - 1)) : 0;
    rows[r].tokens_per_second = median(speeds[r]);
  }
  return rows;
}

std::string to_table(const std::vector<StudyRow>& rows, const std::string& metric) {
  size_t width = 7, place = 9;
  for (const StudyRow& row : rows) {
    width = std::max(width, row.pattern.size());
    place = std::max(place, row.placement.size());
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {:>8}  {:>17}  {:>4}  {:>9}\n", "pattern", width,
                                 "placement", place, "density", metric, "runs", "tokens/s");
  for (const StudyRow& row : rows) {
    const std::string spread = row.runs > 1
                                   ? fmt::format("{:.4f} +- {:.4f}", row.mean, row.deviation)
                                   : fmt::format("{:.4f}", row.mean);
    text += fmt::format("{:<{}}  {:<{}}  {:>7.2f}%  {:>17}  {:>4}  {:>9.0f}\n", row.pattern, width,
                        row.placement, place, 100 * row.density, spread, row.runs,
                        row.tokens_per_second);
  }
  return text;
}

std::string to_csv(const std::vector<StudyRow>& rows, const std::string& metric) {
  std::string text = fmt::format(
      "pattern,placement,density,{0}_mean,{0}_deviation,runs,tokens_per_second\n", metric);
  for (const StudyRow& row : rows) {  // patterns and placements may hold commas, never quotes
    text += fmt::format("\"{}\",\"{}\",{},{},{},{},{}\n", row.pattern, row.placement, row.density,
                        row.mean, row.deviation, row.runs, row.tokens_per_second);
  }
  return text;
}

}  // namespace filigree
