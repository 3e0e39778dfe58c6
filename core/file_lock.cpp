#include "core/file_lock.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

#include "core/error.h"

namespace filigree {

FileLock::FileLock(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) {
    throw FileError(path.string(), std::strerror(errno), "check that the folder is writable");
  }
}

FileLock::~FileLock() { ::close(descriptor_); }

bool FileLock::try_lock() {
  int code = 0;
  do {
    code = ::flock(descriptor_, LOCK_EX | LOCK_NB);
  } while (code != 0 && errno == EINTR);
  return code == 0 || errno != EWOULDBLOCK;
}

bool FileLock::wait(const std::function<bool()>& stop) {
  while (!try_lock()) {
    if (stop && stop()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return true;
}

}  // namespace filigree
