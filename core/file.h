// Files: whole-file reads, memory maps, and writes that are there whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace filigree {

/// A file mapped read-only into memory. Throws FileError (path, reason).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

/// Takes the pages of mapped memory out of the process; they come back from the file when they are
/// read. Changes that were made to them are lost. Threads may read meanwhile.
void forget_pages(std::span<const uint8_t> mapped);

/// Writes `path` atomically: into `path.tmp-PID`, synced, then renamed over `path` by commit().
/// Without commit() the temporary file is removed and the old file stays as it was. Every failure
/// (no space left included) is a FileError with path and reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Syncs the file, renames it, syncs the directory.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

/// The whole file as text. Throws FileError.
std::string read_file(const std::filesystem::path& path);
/// AtomicFile in one call.
void write_file(const std::filesystem::path& path, std::string_view text);

/// Makes a folder, and those that it is in, unless they are there. Throws FileError.
void make_folders(const std::filesystem::path& folder);

/// Throws ConfigError if `output` is the file `input`: it would be written over.
void expect_other_file(const std::filesystem::path& output, const std::filesystem::path& input);

/// Throws FileError unless a file can be made where `output` will be written: to be asked before
/// long work. Leaves nothing behind, and what is there as it is.
void expect_writable(const std::filesystem::path& output);

/// 64-bit checksum (XXH3), as 16 hexadecimal digits by to_hex().
uint64_t checksum(std::span<const uint8_t> bytes);
uint64_t checksum(std::string_view text);
std::string to_hex(uint64_t value);

}  // namespace filigree
