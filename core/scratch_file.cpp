#include "core/scratch_file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <vector>

#include "core/error.h"

namespace filigree {

namespace {

[[noreturn]] void throw_scratch(const std::filesystem::path& folder, std::string_view operation) {
  throw FileError(folder.string(),
                  fmt::format("cannot {} a temporary file: {}", operation, std::strerror(errno)),
                  "free some space, or write to a folder that has it");
}

}  // namespace

ScratchFile::ScratchFile(const std::filesystem::path& folder)
    : folder_(folder.empty() ? std::filesystem::path(".") : folder) {
  descriptor_ = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor_ >= 0) return;
  // File systems that know no files without names.
  std::string name = (folder_ / ".filigree-XXXXXX").string();
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) throw_scratch(folder_, "make");
  ::unlink(name.c_str());
}

ScratchFile::~ScratchFile() { ::close(descriptor_); }

void ScratchFile::append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_scratch(folder_, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void ScratchFile::read(const ByteSink& sink) const {
  std::vector<uint8_t> buffer(size_t{1} << 20);
  for (off_t at = 0;;) {
    const ssize_t count = ::pread(descriptor_, buffer.data(), buffer.size(), at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_scratch(folder_, "read");
    if (count == 0) return;
    sink(std::span(buffer).first(static_cast<size_t>(count)));
    at += count;
  }
}

}  // namespace filigree
