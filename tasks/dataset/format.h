// What the writer and the reader of a dataset file share. Private to tasks/dataset.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace filigree {

inline constexpr std::string_view kDatasetFormat = "filigree-dataset";
inline constexpr std::string_view kDatasetVersion = "2";
inline constexpr std::string_view kFirstVersion = "1";  // without scores and token labels

/// Metadata of files that DatasetWriter makes: these must have a checksum.
inline constexpr const char* kMakerKey = "made_by";
inline constexpr std::string_view kMaker = "filigree";

/// What is wrong with the links (k, 2) of a sample with these words, "" if nothing: pairs of words
/// a < b, ascending, each below the number of words. Cost O(words + k).
std::string link_fault(std::span<const int32_t> links, std::span<const int32_t> words);

}  // namespace filigree
