// A trained model in one safetensors file: weights, and all that is needed to use them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "attention/placement.h"
#include "attention/token_vectors.h"
#include "autograd/ops/segment_pool.h"
#include "tasks/task/task.h"

namespace filigree {

/// What a model file says beside its weights.
struct ModelInfo {
  std::string task = "classification";  ///< name in the table of tasks
  EncoderConfig encoder;
  Pool pool = Pool::first;
  DType dtype = DType::f32;
  std::vector<std::string> label_names;
  std::string tokenizer_hash;
  bool pairs = false;  ///< takes pairs of texts
  std::string pattern = "dense", layers = "all", heads = "all";
  uint64_t seed = 1;
  /// What `lexical` compares tokens by: the input embeddings at the start of the run. Null: not
  /// needed.
  std::shared_ptr<const TokenVectors> vectors;

  /// Its attention.
  AttentionPlan plan() const;
};

struct LoadedModel {
  ModelInfo info;
  std::shared_ptr<const Task> task;
  std::unique_ptr<Model> model;
};

/// The tensors of a model file.
struct ModelTensors {
  StateDict weights;
  std::shared_ptr<const TokenVectors> vectors;  ///< null if the file has none
};
/// Throws FileError, CheckpointError. Does not look at the checksum.
ModelTensors read_model_tensors(const std::filesystem::path& path);

/// Writes atomically. Throws FileError.
void save_model(const std::filesystem::path& path, const ModelInfo& info, const StateDict& weights);
/// The parameters are on `device`. Throws FileError, or CheckpointError for a damaged or foreign
/// file; DeviceError.
LoadedModel load_model(const std::filesystem::path& path, Device device = kCpu);
/// What a model file says, without its weights. Throws FileError, CheckpointError.
ModelInfo read_model_info(const std::filesystem::path& path);
/// The model file that a user means: the file itself, or of a run's folder its best model.
std::filesystem::path find_model(const std::filesystem::path& path);

/// The tokenizer of the run that a model file is in: "tokenizer.model" beside it or in one of the
/// two folders above. Throws FileError.
std::filesystem::path find_tokenizer(const std::filesystem::path& model);

}  // namespace filigree
