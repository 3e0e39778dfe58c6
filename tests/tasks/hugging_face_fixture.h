// The models of tests/tasks/data/hugging_face (make_hugging_face_fixture.py), and copies of them to
// be spoilt.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/file.h"
#include "core/safetensors.h"
#include "tests/temporary_folder.h"

namespace filigree::testing {

inline std::filesystem::path hugging_face_model(const std::string& name) {
  return std::filesystem::path(FILIGREE_SOURCE_DIR "/tests/tasks/data/hugging_face") / name;
}

/// A copy of a model in a folder of its own.
class HuggingFaceCopy {
 public:
  explicit HuggingFaceCopy(const std::string& name) : path_(folder_ / name) {
    std::filesystem::copy(hugging_face_model(name), path_);
  }
  const std::filesystem::path& path() const { return path_; }
  /// Path beside the model.
  std::filesystem::path beside(const std::string& name) const { return folder_ / name; }
  /// Names of everything beside the model.
  std::string listing() const {
    std::string names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      names += entry.path().filename().string() + " ";
    }
    return names;
  }

  /// config.json with a key set, or without it if the value is discarded.
  void set(const std::string& key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(read_file(path_ / "config.json"));
    json[key] = value;
    if (value.is_discarded()) json.erase(key);
    write_file(path_ / "config.json", json.dump());
  }
  /// The weights file again, with tensors changed by `edit`.
  void edit(const std::function<void(std::map<std::string, Tensor>&)>& edit) {
    std::map<std::string, Tensor> tensors;
    {
      const SafetensorsFile file(path_ / "model.safetensors");
      for (const auto& entry : file.entries()) {
        tensors[entry.first] = file.tensor(entry.first).clone();
      }
      edit(tensors);
      SafetensorsWriter writer;
      for (const auto& [name, tensor] : tensors) writer.add(name, tensor);
      writer.save(path_ / "new.safetensors");
    }
    std::filesystem::rename(path_ / "new.safetensors", path_ / "model.safetensors");
  }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_;
};

}  // namespace filigree::testing
