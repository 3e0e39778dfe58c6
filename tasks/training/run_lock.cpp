#include "tasks/training/run_lock.h"

#include "core/error.h"

namespace filigree {

RunLock::RunLock(const std::filesystem::path& folder) : lock_(folder / "lock") {
  if (lock_.try_lock()) return;
  throw ConfigError(folder.string(), "another process trains in this folder",
                    "wait for it, stop it, or give another --out");
}

}  // namespace filigree
