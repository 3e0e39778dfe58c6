// The weights of a Hugging Face folder: one safetensors file or several.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/safetensors.h"

namespace filigree {

/// model.safetensors, or the parts that model.safetensors.index.json lists.
class HuggingFaceWeights {
 public:
  /// Throws FileError if the folder has no such file, with a line on how to make one of
  /// pytorch_model.bin; CheckpointError for a damaged file, an index that does not fit its files,
  /// or two tensors of one canonical name.
  explicit HuggingFaceWeights(const std::filesystem::path& folder);

  /// Canonical names (canonical_name()), sorted.
  std::vector<std::string> names() const;
  bool contains(std::string_view canonical) const;
  /// As it stands in the file.
  const std::string& spelling(std::string_view canonical) const;
  const Shape& shape(std::string_view canonical) const;
  /// The tensor in f32, from F16, BF16, F32 or F64. Throws CheckpointError for another dtype.
  Tensor f32(std::string_view canonical) const;

 private:
  struct Place {
    size_t file = 0;
    std::string name;
  };
  void add(size_t file, const std::string& name);
  const Place& place(std::string_view canonical) const;
  const SafetensorsEntry& entry(std::string_view canonical) const;

  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, Place> places_;
};

}  // namespace filigree
