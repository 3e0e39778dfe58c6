// One process at a time in a run's folder.
#pragma once

#include <filesystem>

#include "core/file_lock.h"

namespace filigree {

/// Holds `folder`/lock as long as it lives; the system lets go of it when the process ends, however
/// it ends. Throws ConfigError if another process has it, FileError.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& folder);

 private:
  FileLock lock_;
};

}  // namespace filigree
