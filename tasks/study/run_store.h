// RunStore: every run of a study, in one SQLite file that survives interruptions and is shared.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tasks/study/run_record.h"

namespace filigree {

/// A run that a study asks for, done or not.
struct PlannedRecord {
  std::string id;
  std::vector<std::string> levels;  ///< of every axis, in their order
  uint64_t seed = 0;
};

/// What a study asks, as its last start planned it.
struct StudyRecord {
  std::string question;
  std::vector<std::string> axes;                 ///< names
  std::vector<std::vector<std::string>> levels;  ///< of every axis, in the order of the study file
  std::string baseline;                          ///< "axis=level", or empty
  std::vector<PlannedRecord> runs;
  std::vector<std::pair<std::string, std::string>> claims;  ///< name and text, see claims.h
};

/// Opens or makes the file, and brings one of an older version up to date. Any number of processes
/// may have it open; every write is one transaction. Throws FileError for a file that is no run
/// store or one of a newer version, stays locked for half a minute, or cannot be written.
class RunStore {
 public:
  /// `must_exist`: a file that is not there is an error, instead of made.
  explicit RunStore(const std::filesystem::path& path, bool must_exist = false);
  ~RunStore();
  RunStore(const RunStore&) = delete;
  RunStore& operator=(const RunStore&) = delete;

  /// Adds a run with its evaluations, or replaces the one of the same id; forgets its failure.
  void put(const RunRecord& run);
  bool contains(const std::string& id) const;
  /// With its details.
  std::optional<RunRecord> find(const std::string& id) const;
  /// All runs without their details, in the order they were added.
  std::vector<RunRecord> all() const;

  /// A run that ended in an error.
  void put_failure(const std::string& id, const std::string& error);
  std::optional<std::string> failure(const std::string& id) const;
  void forget_failures();

  void put_study(const StudyRecord& study);
  /// None in a store without one (of an older version).
  std::optional<StudyRecord> study() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace filigree
