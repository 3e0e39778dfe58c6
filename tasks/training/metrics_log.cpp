#include "tasks/training/metrics_log.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

MetricsLog::MetricsLog(const std::filesystem::path& path, int64_t last_step) : path_(path) {
  std::string kept;
  if (last_step > 0 && std::filesystem::exists(path)) {
    std::istringstream before(read_file(path));
    for (std::string line; std::getline(before, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);  // the last may be cut short
      if (json.is_object() && json.value("step", INT64_MAX) <= last_step) kept += line + "\n";
    }
  }
  write_file(path, kept);
  out_.open(path, std::ios::app);
}

void MetricsLog::write(const std::string& json) {
  out_ << json << '\n' << std::flush;
  if (!out_) {
    throw FileError(path_.string(), "cannot write",
                    "check the disk's room; the checkpoints are whole: go on with --resume");
  }
}

void MetricsLog::write_step(const Progress& progress, int64_t peak, double multiplier) {
  nlohmann::json line{{"kind", "train"},
                      {"step", progress.step},
                      {"loss", progress.loss},
                      {"learning_rate", progress.learning_rate},
                      {"gradient_norm", progress.gradient_norm},
                      {"tokens_per_second", progress.tokens_per_second},
                      {"memory_peak", peak}};
  if (!(progress.density < 0)) {  // NaN too
    line["density"] = progress.density;
    line["multiplier"] = multiplier;
  }
  write(line.dump());
}

void MetricsLog::write_evaluation(int64_t step, const Metrics& metrics, bool best) {
  nlohmann::json line{{"kind", "evaluate"},
                      {"step", step},
                      {"loss", metrics.loss},
                      {"density", metrics.density},
                      {"best", best}};
  if (!metrics.layer_density.empty()) line["layer_density"] = metrics.layer_density;
  for (const NamedValue& each : metrics.values) line[each.name] = each.value;
  write(line.dump());
}

}  // namespace filigree
