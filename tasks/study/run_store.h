// RunStore: every run of every study, in one SQLite file that survives interruptions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace filigree {

/// One finished run.
struct RunRecord {
  std::string id;  ///< hash of its settings
  std::string pattern, layers, heads;
  uint64_t seed = 0;
  std::string metric;  ///< name of what `value` is
  double value = 0;    ///< of the best model on the dev split
  double density = 1;  ///< mean over the layers
  double tokens_per_second = 0, seconds = 0;
  int64_t best_step = 0, steps = 0;
  std::string config;  ///< its settings as an INI file
};

/// Opens or makes the file. Every write is a transaction. Throws FileError for a file that is no
/// run store, is locked by another process, or cannot be written.
class RunStore {
 public:
  explicit RunStore(const std::filesystem::path& path);
  ~RunStore();
  RunStore(const RunStore&) = delete;
  RunStore& operator=(const RunStore&) = delete;

  /// Adds a run, or replaces the one of the same id.
  void put(const RunRecord& run);
  std::optional<RunRecord> find(const std::string& id) const;
  /// All runs, in the order they were added.
  std::vector<RunRecord> all() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace filigree
