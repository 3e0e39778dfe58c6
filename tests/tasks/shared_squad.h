// The SQuAD files that lie beside the project's checkout, where there are any.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "tests/temporary_folder.h"

namespace filigree::testing {

/// The dev file of ../shared/data/squad, unpacked into the folder; nothing if it is not there or
/// there is no xz.
inline std::optional<std::string> unpack_squad_dev(const TemporaryFolder& folder) {
  const std::filesystem::path packed = std::filesystem::path(FILIGREE_SOURCE_DIR).parent_path() /
                                       "shared/data/squad/dev-v1.1-43articles.json.xz";
  if (!std::filesystem::exists(packed)) return std::nullopt;
  std::string out = folder / "dev.json";
  const std::string command = "xz -dc '" + packed.string() + "' > '" + out + "'";
  if (std::system(command.c_str()) != 0) return std::nullopt;
  return out;
}

inline constexpr const char* kNoSquad =
    "../shared/data/squad/dev-v1.1-43articles.json.xz is not there (or xz is missing)";

}  // namespace filigree::testing
