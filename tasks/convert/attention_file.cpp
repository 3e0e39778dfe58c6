#include "tasks/convert/attention_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"

namespace filigree {

namespace {

constexpr const char* kFile = "filigree.json";
constexpr const char* kVectorsFile = "filigree_vectors.safetensors";
constexpr const char* kVectors = "attention.token_vectors";

}  // namespace

void write_attention_file(const std::filesystem::path& folder, const ModelInfo& info) {
  const nlohmann::json json{
      {"attention", {{"pattern", info.pattern}, {"layers", info.layers}, {"heads", info.heads}}},
      {"seed", info.seed},
      {"pairs", info.pairs},
      {"tokenizer_hash", info.tokenizer_hash}};
  write_file(folder / kFile, json.dump(2) + "\n");
  if (!info.vectors) return;
  SafetensorsWriter writer;
  writer.add(kVectors, info.vectors->table());
  writer.save(folder / kVectorsFile);
}

void read_attention_file(const std::filesystem::path& folder, ModelInfo& info) {
  const std::filesystem::path path = folder / kFile;
  if (!std::filesystem::exists(path)) return;
  try {
    const auto json = nlohmann::json::parse(read_file(path));
    info.pattern = json.at("attention").at("pattern");
    info.layers = json.at("attention").at("layers");
    info.heads = json.at("attention").at("heads");
    const auto& seed = json.at("seed");
    if (!seed.is_number_unsigned()) {
      throw CheckpointError(path.string(),
                            fmt::format("expected a seed of 0 or more, got {}", seed.dump()),
                            "correct it, or remove the file, and the attention will be dense");
    }
    info.seed = seed;
    info.pairs = info.pairs || json.at("pairs").get<bool>();
    info.tokenizer_hash = json.value("tokenizer_hash", std::string());
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(path.string(), error.what(),
                          "remove the file, and the attention will be dense");
  }
  try {
    info.plan();  // throws what is wrong with it
  } catch (const ConfigError& error) {
    throw CheckpointError(path.string(), error.what(),
                          "correct it, or remove the file, and the attention will be dense");
  }
  if (!std::filesystem::exists(folder / kVectorsFile)) return;
  const SafetensorsFile file(folder / kVectorsFile);
  file.verify_checksum(Unsealed::accept);
  const Tensor table = file.tensor(kVectors);
  if (table.shape().rank() != 2 || table.size(0) != info.encoder.vocabulary) {
    throw CheckpointError(file.path().string(),
                          fmt::format("expected a vector for each of {} pieces, got {}",
                                      info.encoder.vocabulary, to_string(table.shape())),
                          "take another copy of the folder");
  }
  info.vectors = std::make_shared<TokenVectors>(table.clone());
}

}  // namespace filigree
