#include "tasks/training/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kManifest = "manifest.json";
constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";

json to_json(const TrainState& s) {
  return {{"step", s.step},
          {"cursor", s.cursor},
          {"tokens", s.tokens},
          {"skipped_steps", s.skipped_steps},
          {"seconds", s.seconds},
          {"best_step", s.best_step},
          {"best_metric", std::isinf(s.best_metric) ? json(s.best_metric > 0 ? "inf" : "-inf")
                                                    : json(s.best_metric)},
          {"best_density", s.best_density},
          {"without_gain", s.without_gain},
          {"skipped_in_a_row", s.skipped_in_a_row}};
}

TrainState state_of(const json& j) {
  const json& best = j.at("best_metric");  // JSON has no NaN and no infinity
  return {j.at("step"),
          j.at("cursor"),
          j.at("tokens"),
          j.at("skipped_steps"),
          j.at("seconds"),
          j.at("best_step"),
          best.is_null()     ? std::numeric_limits<double>::quiet_NaN()
          : best.is_string() ? (best == "inf" ? INFINITY : -INFINITY)
                             : best.get<double>(),
          j.value("best_density", 2.0),
          j.at("without_gain"),
          j.value("skipped_in_a_row", int64_t{0})};  // early manifests lack it
}

json seal(const fs::path& path) {
  const MappedFile file(path);
  return {{"bytes", file.bytes().size()}, {"xxh3", to_hex(checksum(file.bytes()))}};
}

StateDict tensors_of(const fs::path& path) {
  const SafetensorsFile file(path);
  StateDict state;
  for (const auto& entry : file.entries()) state[entry.first] = file.tensor(entry.first);
  return state;
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path folder, int64_t keep, std::string config_hash)
    : folder_(std::move(folder)), keep_(keep), config_hash_(std::move(config_hash)) {}

void CheckpointStore::save(const TrainState& state, const ModelInfo& info, const StateDict& weights,
                           const StateDict& optimizer) const {
  const fs::path target = folder_ / fmt::format("step-{:08}", state.step);
  std::error_code problem;
  fs::remove(target / kManifest, problem);  // while its files change it is no checkpoint
  make_folders(target);
  save_model(target / kModel, info, weights);
  SafetensorsWriter writer;
  writer.metadata("format", "filigree-optimizer");
  for (const auto& [name, tensor] : optimizer) writer.add(name, tensor);
  writer.save(target / kOptimizer);
  const json manifest = {
      {"format", "filigree-checkpoint"},
      {"version", 1},
      {"config", config_hash_},
      {"state", to_json(state)},
      {"files", {{kModel, seal(target / kModel)}, {kOptimizer, seal(target / kOptimizer)}}}};
  write_file(target / kManifest, manifest.dump(1));
  // A later one was passed over by load_latest(): it must not count, nor be met again.
  int64_t kept = 0;
  for (const fs::path& folder : list()) {
    if (folder <= target && ++kept <= keep_) continue;
    fs::remove(folder / kManifest, problem);
    fs::remove_all(folder, problem);
  }
}

std::vector<fs::path> CheckpointStore::list() const {
  std::vector<fs::path> found;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator(folder_, problem)) {
    if (entry.is_directory() && entry.path().filename().string().starts_with("step-")) {
      found.push_back(entry.path());
    }
  }
  if (problem && problem != std::errc::no_such_file_or_directory) {
    throw FileError(folder_.string(), problem.message(), "check the folder's permissions");
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

LoadedCheckpoint CheckpointStore::load(const fs::path& folder) const {
  const fs::path path = folder / kManifest;
  try {
    const json manifest = json::parse(read_file(path));
    for (const char* name : {kModel, kOptimizer}) {
      if (seal(folder / name) != manifest.at("files").at(name)) {
        throw CheckpointError((folder / name).string(),
                              "damaged: size or checksum differ from the manifest");
      }
    }
    LoadedCheckpoint loaded;
    loaded.state = state_of(manifest.at("state"));
    ModelTensors model = read_model_tensors(folder / kModel);
    loaded.weights = std::move(model.weights);
    loaded.vectors = std::move(model.vectors);
    loaded.optimizer = tensors_of(folder / kOptimizer);
    if (manifest.at("config") != config_hash_) {
      throw ConfigError(folder.string(), "the checkpoint was written under other settings",
                        "resume with the settings of the run, or train into another folder");
    }
    return loaded;
  } catch (const json::exception&) {
    throw CheckpointError(path.string(), "damaged: the manifest is cut short or altered");
  }
}

std::optional<LoadedCheckpoint> CheckpointStore::load_latest(
    const std::function<void(const std::string&)>& warn) const {
  bool damaged = false;
  for (const fs::path& folder : list()) {
    if (!fs::exists(folder / kManifest)) {  // the process was ended while it saved
      warn(fmt::format("passed over a checkpoint: [{}] incomplete: the manifest is missing",
                       folder.string()));
      continue;
    }
    damaged = true;
    try {
      return load(folder);
    } catch (const ConfigError&) {
      throw;
    } catch (const Error& error) {
      warn(fmt::format("passed over a checkpoint: {}", error.what()));
    }
  }
  if (!damaged) return std::nullopt;
  throw CheckpointError(folder_.string(), "every checkpoint is damaged",
                        "remove the folder and train again");
}

}  // namespace filigree
