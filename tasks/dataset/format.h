// The name and version that a dataset file carries. Private to tasks/dataset.
#pragma once

#include <string_view>

namespace filigree {

inline constexpr std::string_view kDatasetFormat = "filigree-dataset";
inline constexpr std::string_view kDatasetVersion = "1";

}  // namespace filigree
