#include "tasks/training/model_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"

namespace filigree {

namespace {

constexpr const char* kFormat = "filigree-model";
constexpr const char* kVectors = "attention.token_vectors";  // beside the weights

DType dtype_named(const std::string& name) {
  if (name == "f32") return DType::f32;
  if (name == "f64") return DType::f64;
  throw CheckpointError("model", fmt::format("expected weights of f32 or f64, got {}", name));
}

ModelInfo read_info(const SafetensorsFile& file) {
  const std::string where = file.path().string();
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != kFormat) {
    throw CheckpointError(where, "a safetensors file, but no model of Filigree",
                          "give a run's folder or its best/model.safetensors");
  }
  const auto description = file.metadata().find("model");
  if (description == file.metadata().end()) {
    throw CheckpointError(where, "the metadata lack \"model\"");
  }
  try {
    const auto json = nlohmann::json::parse(description->second);
    ModelInfo info;
    info.task = json.value("task", info.task);  // absent in files of early versions
    info.encoder = EncoderConfig::from_json(json.at("encoder").dump());
    info.pairs = json.value("pairs", info.encoder.segments > 0);
    info.pool = json.at("pool") == "mean" ? Pool::mean : Pool::first;
    info.dtype = dtype_named(json.at("dtype"));
    info.label_names = json.at("label_names").get<std::vector<std::string>>();
    info.tokenizer_hash = json.at("tokenizer_hash");
    info.pattern = json.at("attention").at("pattern");
    info.layers = json.at("attention").at("layers");
    info.heads = json.at("attention").at("heads");
    info.seed = json.at("seed");
    return info;
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(where, fmt::format("its description is damaged: {}", error.what()));
  }
}

}  // namespace

AttentionPlan ModelInfo::plan() const {
  AttentionPlan plan(pattern, layers, heads, static_cast<int>(encoder.layers),
                     static_cast<int>(encoder.heads));
  plan.set_vectors(vectors);
  return plan;
}

void save_model(const std::filesystem::path& path, const ModelInfo& info,
                const StateDict& weights) {
  const nlohmann::json json = {
      {"task", info.task},
      {"encoder", nlohmann::json::parse(info.encoder.to_json())},
      {"pool", info.pool == Pool::mean ? "mean" : "first"},
      {"dtype", std::string(name_of(info.dtype))},
      {"label_names", info.label_names},
      {"tokenizer_hash", info.tokenizer_hash},
      {"pairs", info.pairs},
      {"attention", {{"pattern", info.pattern}, {"layers", info.layers}, {"heads", info.heads}}},
      {"seed", info.seed}};
  SafetensorsWriter writer;
  writer.metadata("format", kFormat);
  writer.metadata("model", json.dump());
  for (const auto& [name, tensor] : weights) writer.add(name, tensor);
  if (info.vectors) writer.add(kVectors, info.vectors->table());
  writer.save(path);
}

ModelTensors read_model_tensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  ModelTensors tensors;
  for (const auto& entry : file.entries()) {
    if (entry.first == kVectors) {
      tensors.vectors = std::make_shared<TokenVectors>(file.tensor(kVectors));
    } else {
      tensors.weights[entry.first] = file.tensor(entry.first);
    }
  }
  return tensors;
}

LoadedModel load_model(const std::filesystem::path& path, Device device) {
  const SafetensorsFile file(path);
  LoadedModel loaded;
  loaded.info = read_info(file);
  file.verify_checksum();
  ModelTensors tensors = read_model_tensors(path);
  loaded.info.vectors = std::move(tensors.vectors);
  try {
    loaded.task = make_task(path.string(), loaded.info.task);
    loaded.model = loaded.task->make_model(loaded.info);
  } catch (const ConfigError& error) {
    throw CheckpointError(path.string(), error.what());
  }
  loaded.model->load_state_dict(tensors.weights);
  loaded.model->to(device);
  return loaded;
}

ModelInfo read_model_info(const std::filesystem::path& path) {
  return read_info(SafetensorsFile(path));
}

std::filesystem::path find_model(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return path;
  for (const char* name : {"best/model.safetensors", "model.safetensors"}) {
    if (std::filesystem::exists(path / name)) return path / name;
  }
  throw FileError(path.string(), "the folder holds no model",
                  "give the folder of a run, a checkpoint or a model file");
}

std::filesystem::path find_tokenizer(const std::filesystem::path& model) {
  std::filesystem::path folder = std::filesystem::absolute(model).parent_path();
  for (int level = 0; level < 3; ++level, folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "tokenizer.model")) return folder / "tokenizer.model";
  }
  throw FileError(model.string(), "there is no tokenizer.model with the model",
                  "give --tokenizer FILE, the one that the training data were prepared with");
}

}  // namespace filigree
