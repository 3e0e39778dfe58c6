// ParseCache: parses kept on disk, by the text of their sentence.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tasks/syntax/linkage.h"

namespace filigree {

/// A folder of files part-CHECKSUMS.safetensors, each written atomically and checksummed: `texts`
/// u8 with `text_offsets` (N+1) i64, `records` i32 (pack() of the linkages) with `record_offsets`
/// (N+1) i64; metadata "format": "filigree-parses", "format_version": "1", "parser". Several
/// datasets, and processes at the same time, may share a folder. All parses are in memory, too:
/// about 20 bytes a word.
class ParseCache {
 public:
  /// Reads the folder, if it is there; without a name parses are in memory alone. `parser`: what
  /// parses depend on; files of another parser, of another kind or with another form of name are
  /// left alone. A damaged file is passed over with a line in notes(), and removed by tidy(): its
  /// sentences are parsed again. Throws FileError if the folder cannot be read.
  ParseCache(std::filesystem::path folder, std::string parser);

  /// True, and the parse, if there is one that a limit of `limit_ms` would not better: any but a
  /// time-out under a smaller limit.
  bool find(const std::string& sentence, int32_t limit_ms, Linkage& linkage) const;
  /// Makes the folder, as save() does where it is missing. Throws FileError.
  void make_folder() const;
  /// Keeps a parse in memory, for save().
  void add(const std::string& sentence, const Linkage& linkage);
  /// Writes what was added since the last time. Throws FileError.
  void save();
  /// Makes one file of many, and removes damaged ones. Throws FileError.
  void tidy();

  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  using Entries = std::map<std::string, std::vector<int32_t>>;
  void read(const std::filesystem::path& path);
  std::filesystem::path write(const Entries& entries) const;

  std::filesystem::path folder_;
  std::string parser_;
  Entries entries_;                             // all
  Entries fresh_;                               // not on disk
  std::vector<std::filesystem::path> parts_;    // files of this parser
  std::vector<std::filesystem::path> damaged_;  // files that cannot be read
  std::vector<std::string> notes_;
};

}  // namespace filigree
