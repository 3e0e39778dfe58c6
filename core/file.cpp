#include "core/file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/error.h"

namespace filigree {

namespace {

[[noreturn]] void throw_file(const std::filesystem::path& path, std::string_view operation,
                             int code) {
  std::string hint;
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
    hint = "free some space or choose another folder; what was there before is untouched";
  } else if (code == ENOENT) {
    hint = "check the path";
  }
  throw FileError(path.string(), fmt::format("cannot {}: {}", operation, std::strerror(code)),
                  hint);
}

/// A descriptor that closes itself.
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.value < 0) throw_file(path, "open for reading", errno);
  struct stat info {};
  if (::fstat(file.value, &info) != 0) throw_file(path, "examine", errno);
  if (S_ISDIR(info.st_mode)) throw_file(path, "read", EISDIR);
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  // Private and writable: a tensor over it may be changed without touching the file.
  void* data =
      ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.value, 0);
  if (data == MAP_FAILED) throw_file(path, "map", errno);
  data_ = static_cast<const uint8_t*>(data);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<uint8_t*>(data_), size_);
}

void forget_pages(std::span<const uint8_t> mapped) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(mapped.data()) / page * page;
  const auto last = reinterpret_cast<uintptr_t>(mapped.data()) + mapped.size();
  // Advice only: where it is not followed, the pages stay.
  if (last > first) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

/// The file to be replaced: what a symbolic link points at, so that the link stays one. Throws
/// FileError for what is there and is no file: a folder, a device, a pipe.
static std::filesystem::path file_at(const std::filesystem::path& path) {
  constexpr int kMostLinks = 40;  // as the system
  std::error_code problem;
  std::filesystem::path target = path;
  for (int k = 0; std::filesystem::is_symlink(target, problem); ++k) {
    if (k == kMostLinks) throw_file(path, "write", ELOOP);
    target = target.parent_path() / std::filesystem::read_symlink(target, problem);
  }
  const auto status = std::filesystem::status(target, problem);
  if (std::filesystem::is_directory(status)) throw_file(path, "write", EISDIR);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw FileError(path.string(), "is a device or a pipe: a file written whole would replace it",
                    "give the name of a file");
  }
  return target;
}

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(file_at(path)), temporary_(path_.string() + fmt::format(".tmp-{}", ::getpid())) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw_file(path, "open for writing", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, next, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_file(path_, "write", errno);
    }
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) throw_file(path_, "sync", errno);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary_.c_str());
    throw_file(path_, "finish writing", code);
  }
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.value >= 0) ::fsync(directory.value);
}

std::string read_file(const std::filesystem::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.value < 0) throw_file(path, "open for reading", errno);
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = ::read(file.value, buffer, sizeof buffer);
    if (count == 0) return text;
    if (count > 0) {
      text.append(buffer, static_cast<size_t>(count));
    } else if (errno != EINTR) {
      throw_file(path, "read", errno);
    }
  }
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void expect_other_file(const std::filesystem::path& output, const std::filesystem::path& input) {
  std::error_code absent;
  if (!std::filesystem::equivalent(output, input, absent)) return;
  throw ConfigError(output.string(), "is the input, which would be written over",
                    "give another name for the output");
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (!problem) return;
  throw FileError(folder.string(), fmt::format("cannot make the folder: {}", problem.message()),
                  "give a folder that can be written, on a disk that has room");
}

void expect_writable(const std::filesystem::path& output) { const AtomicFile probe(output); }

uint64_t checksum(std::span<const uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t checksum(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

std::string to_hex(uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace filigree
