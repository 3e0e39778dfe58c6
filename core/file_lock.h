// A lock that processes share, and that the system lets go of when its holder ends, however it
// ends.
#pragma once

#include <filesystem>
#include <functional>

namespace filigree {

/// Locks a file (flock(2)), which is made if it is not there. Where the file system has no locks,
/// everything is granted.
class FileLock {
 public:
  /// Takes nothing yet. Throws FileError if the file cannot be made.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// False if another process has it.
  bool try_lock();
  /// Waits until it is free, and takes it. False if `stop` (asked ten times a second) said so.
  bool wait(const std::function<bool()>& stop);

 private:
  int descriptor_;
};

}  // namespace filigree
