// A folder that is there whole or not at all.
#pragma once

#include <filesystem>

namespace filigree {

/// Collects files in `path.tmp-PID`; commit() renames it to `path`. Without commit() nothing stays.
class NewFolder {
 public:
  /// Throws FileError if `path` exists or its parent cannot be written.
  explicit NewFolder(const std::filesystem::path& path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  /// Path of a file to write.
  std::filesystem::path operator/(const std::filesystem::path& name) const {
    return temporary_ / name;
  }
  /// Throws FileError.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
};

}  // namespace filigree
