#include "tasks/training/metrics_log.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

MetricsLog::MetricsLog(const std::filesystem::path& path, int64_t last_step) : path_(path) {
  std::string kept;
  if (last_step > 0 && std::filesystem::exists(path)) {
    std::istringstream before(read_file(path));
    for (std::string line; std::getline(before, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, false);  // the last may be cut short
      if (json.is_object() && json.value("step", INT64_MAX) <= last_step) kept += line + "\n";
    }
  }
  write_file(path, kept);
  out_.open(path, std::ios::app);
}

void MetricsLog::write(const std::string& json) {
  out_ << json << '\n' << std::flush;
  if (!out_) {
    throw FileError(path_.string(), "cannot write",
                    "check the disk's room; the checkpoints are whole: go on with --resume");
  }
}

}  // namespace filigree
