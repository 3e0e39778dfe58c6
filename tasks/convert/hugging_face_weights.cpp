#include "tasks/convert/hugging_face_weights.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "tasks/convert/hugging_face_names.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

/// IEEE 754 binary16 as float: every such number is one.
float half_to_float(uint16_t bits) {
  const uint32_t exponent = (bits >> 10) & 31u, fraction = bits & 1023u;
  const float sign = (bits & 0x8000u) != 0 ? -1.0f : 1.0f;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VALF : NAN;
  return sign * std::ldexp(static_cast<float>(1024u + fraction), static_cast<int>(exponent) - 25);
}

[[noreturn]] void throw_no_weights(const fs::path& folder) {
  for (const char* other :
       {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"}) {
    if (!fs::exists(folder / other)) continue;
    throw FileError(
        folder.string(), fmt::format("holds {}, but no {}", other, kSingle),
        fmt::format("save it as safetensors, in Python: transformers.AutoModelForPreTraining."
                    "from_pretrained(\"{}\").save_pretrained(\"NEW\", safe_serialization=True), "
                    "with the class that config.json names",
                    folder.string()));
  }
  throw FileError(folder.string(), fmt::format("holds neither {} nor {}", kSingle, kIndex),
                  "give a folder that save_pretrained() of transformers wrote");
}

/// The "weight_map" of an index: name to file.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const auto fail = [&](const std::string& what) {
    throw CheckpointError(path.string(), what, "the folder is damaged; take another copy");
  };
  const auto json = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    fail("is no index: it lacks \"weight_map\"");
  }
  std::map<std::string, std::string> map;
  for (const auto& [name, file] : json["weight_map"].items()) {
    if (!file.is_string()) fail(fmt::format("the file of \"{}\" is no string", name));
    const auto text = file.get<std::string>();
    if (text.empty() || fs::path(text).filename() != text) {
      fail(fmt::format("the file of \"{}\", \"{}\", is not in the folder", name, text));
    }
    map[name] = text;
  }
  return map;
}

}  // namespace

HuggingFaceWeights::HuggingFaceWeights(const fs::path& folder) : folder_(folder) {
  if (fs::exists(folder / kSingle)) {
    files_.emplace_back(folder / kSingle).verify_checksum(Unsealed::accept);
    for (const auto& [name, entry] : files_.front().entries()) add(0, name);
    return;
  }
  if (!fs::exists(folder / kIndex)) throw_no_weights(folder);
  const auto map = read_index(folder / kIndex);
  std::map<std::string, size_t> numbers;
  for (const auto& [name, file] : map) {
    if (!numbers.contains(file)) {
      numbers[file] = files_.size();
      files_.emplace_back(folder / file).verify_checksum(Unsealed::accept);
    }
    const size_t number = numbers[file];
    if (!files_[number].contains(name)) {
      throw CheckpointError((folder / kIndex).string(),
                            fmt::format("\"{}\" is not in {}", name, file),
                            "the folder is damaged; take another copy");
    }
    add(number, name);
  }
}

void HuggingFaceWeights::add(size_t file, const std::string& name) {
  const std::string canonical = canonical_name(name);
  const auto [at, fresh] = places_.try_emplace(canonical, Place{file, name});
  if (fresh) return;
  throw CheckpointError(folder_.string(),
                        fmt::format("\"{}\" and \"{}\" are one parameter", at->second.name, name),
                        "save the model again with transformers");
}

std::vector<std::string> HuggingFaceWeights::names() const {
  std::vector<std::string> all;
  for (const auto& [name, place] : places_) all.push_back(name);
  return all;
}

bool HuggingFaceWeights::contains(std::string_view canonical) const {
  return places_.contains(std::string(canonical));
}

const HuggingFaceWeights::Place& HuggingFaceWeights::place(std::string_view canonical) const {
  const auto found = places_.find(std::string(canonical));
  if (found != places_.end()) return found->second;
  throw CheckpointError(folder_.string(), fmt::format("has no tensor \"{}\"", canonical));
}

const std::string& HuggingFaceWeights::spelling(std::string_view canonical) const {
  return place(canonical).name;
}

const SafetensorsEntry& HuggingFaceWeights::entry(std::string_view canonical) const {
  const Place& at = place(canonical);
  return files_[at.file].entry(at.name);
}

const Shape& HuggingFaceWeights::shape(std::string_view canonical) const {
  return entry(canonical).shape;
}

Tensor HuggingFaceWeights::f32(std::string_view canonical) const {
  const Place& at = place(canonical);
  const SafetensorsEntry& found = entry(canonical);
  if (found.dtype == "F16") {
    Tensor result(found.shape);
    const auto values = result.span<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits = 0;
      std::memcpy(&bits, found.bytes.data() + 2 * i, sizeof bits);
      values[i] = half_to_float(bits);
    }
    return result;
  }
  if (found.dtype != "F32" && found.dtype != "BF16" && found.dtype != "F64") {
    throw CheckpointError(files_[at.file].path().string(),
                          fmt::format("tensor \"{}\" has dtype {}", at.name, found.dtype),
                          "save the model in float32, float16 or bfloat16, not quantized");
  }
  return files_[at.file].tensor(at.name).to(DType::f32);
}

}  // namespace filigree
