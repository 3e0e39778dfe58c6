// ScratchFile: bytes that do not fit into memory, until they are needed again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

namespace filigree {

/// Takes some bytes at a time.
using ByteSink = std::function<void(std::span<const uint8_t>)>;
/// Gives all its bytes to a sink, in order, some at a time; the same ones at every call.
using ByteStream = std::function<void(const ByteSink&)>;

/// A file without a name: it takes room in `folder` and is gone with the object, or the process.
/// Throws FileError (no space left included).
class ScratchFile {
 public:
  explicit ScratchFile(const std::filesystem::path& folder);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  void append(std::span<const uint8_t> bytes);
  /// All that was appended, a mebibyte at a time.
  void read(const ByteSink& sink) const;

 private:
  std::filesystem::path folder_;
  int descriptor_ = -1;
};

}  // namespace filigree
