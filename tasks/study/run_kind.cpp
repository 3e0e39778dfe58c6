#include "tasks/study/run_kind.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/file.h"
#include "tasks/study/kinds.h"

namespace filigree {

namespace {

using Json = nlohmann::json;

constexpr size_t kCurvePoints = 200;

const RunKind* const kKinds[] = {&kTrainKind, &kLearnKind,    &kPermutedKind,
                                 &kEvenKind,  &kShuffledKind, &kRewiredKind};

std::vector<RunKind> copied() {
  std::vector<RunKind> kinds;
  for (const RunKind* kind : kKinds) kinds.push_back(*kind);
  return kinds;
}

/// Every k-th point and the last one, so that no more than kCurvePoints are left.
std::vector<LossPoint> thinned(const std::vector<LossPoint>& points) {
  if (points.size() <= kCurvePoints) return points;
  std::vector<LossPoint> kept;
  const double step = static_cast<double>(points.size() - 1) / (kCurvePoints - 1);
  for (size_t k = 0; k < kCurvePoints; ++k) {
    kept.push_back(points[static_cast<size_t>(std::llround(step * static_cast<double>(k)))]);
  }
  return kept;
}

double number(const Json& line, const std::string& name) {
  const auto found = line.find(name);
  return found == line.end() || found->is_null() ? std::nan("") : found->get<double>();
}

/// Reads metrics.jsonl of a run into its record.
void read_metrics(const std::filesystem::path& path, RunRecord& run) {
  std::istringstream lines(read_file(path));
  std::vector<LossPoint> curve;
  for (std::string text; std::getline(lines, text);) {
    const Json line = Json::parse(text, nullptr, false);
    if (line.is_discarded()) continue;  // cut off by a full disk
    const auto step = line.at("step").get<int64_t>();
    if (line.at("kind") == "train") {
      curve.push_back({step, number(line, "loss")});
      run.memory_peak = std::max(run.memory_peak, line.value("memory_peak", int64_t{0}));
    } else if (line.at("kind") == "evaluate") {
      run.details.evaluations.push_back(
          {step, number(line, "loss"), number(line, run.metric), number(line, "density")});
      if (line.value("best", false) && line.contains("layer_density")) {
        run.layer_density = line["layer_density"].get<std::vector<double>>();
      }
    }
  }
  run.details.curve = thinned(curve);
}

}  // namespace

std::span<const RunKind> run_kinds() {
  static const std::vector<RunKind> kinds = copied();
  return kinds;
}

const RunKind& find_run_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const RunKind& kind : run_kinds()) {
    if (kind.name == name) return kind;
    names.emplace_back(kind.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError("run.command", fmt::format("there is no \"{}\"", name),
                    near.empty() ? fmt::format("it is one of: {}", fmt::join(names, ", "))
                                 : fmt::format("did you mean \"{}\"?", near));
}

RunRecord record_of(const TrainConfig& config, const TrainResult& result,
                    const std::filesystem::path& folder) {
  RunRecord run;
  run.pattern = result.pattern;
  run.layers = config.attention.layers;
  run.heads = config.attention.heads;
  run.seed = config.train.seed;
  run.metric = result.metric;
  run.higher_is_better = result.higher_is_better;
  run.value = result.state.best_metric;
  run.density = result.last.density;  // unless the log has that of the best model
  run.tokens_per_second = result.tokens_per_second;
  run.seconds = result.state.seconds;
  run.best_step = result.state.best_step;
  run.steps = result.steps;
  TrainConfig solved = config;  // to run it again alone
  solved.attention.pattern = result.pattern;
  run.details.config = solved.to_ini();
  read_metrics(folder / "metrics.jsonl", run);
  for (const EvaluationRecord& each : run.details.evaluations) {
    if (each.step == run.best_step) run.density = each.density;
  }
  return run;
}

}  // namespace filigree
