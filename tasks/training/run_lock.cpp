#include "tasks/training/run_lock.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/error.h"

namespace filigree {

RunLock::RunLock(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw FileError(path.string(), std::strerror(errno), "check that the folder is writable");
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int problem = errno;
  ::close(descriptor_);
  descriptor_ = -1;
  if (problem != EWOULDBLOCK) return;  // a file system without locks
  throw ConfigError(folder.string(), "another process trains in this folder",
                    "wait for it, stop it, or give another --out");
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace filigree
