// metrics.jsonl: one JSON object a line, for programs to read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "tasks/training/trainer.h"

namespace filigree {

/// Appends lines. On opening, lines of steps after `last_step` (of a run cut off) are dropped.
class MetricsLog {
 public:
  /// Throws FileError.
  MetricsLog(const std::filesystem::path& path, int64_t last_step);
  /// One line each, flushed. Throws FileError (disk full). peak: bytes of tensors; multiplier: of
  /// the objective, while degrees are learned.
  void write_step(const Progress& progress, int64_t peak, double multiplier);
  void write_evaluation(int64_t step, const Metrics& metrics, bool best);

 private:
  void write(const std::string& json);

  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace filigree
