// metrics.jsonl: one JSON object a line, for programs to read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace filigree {

/// Appends lines. On opening, lines of steps after `last_step` (of a run cut off) are dropped.
class MetricsLog {
 public:
  /// Throws FileError.
  MetricsLog(const std::filesystem::path& path, int64_t last_step);
  /// One line, flushed. Throws FileError (disk full).
  void write(const std::string& json);

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace filigree
