// Lines of a mapped file, with their numbers; what all readers share.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/file.h"
#include "tasks/readers/record_reader.h"

namespace filigree {

/// Line by line through a file. A byte order mark, and a carriage return before a line end, are
/// dropped.
class LineReader {
 public:
  /// Throws FileError, and DataError for a file without a visible character.
  LineReader(const std::filesystem::path& path, int64_t max_line_bytes);

  /// The next line in `line` (it points into the file), false at the end. Throws DataError for a
  /// line that is too long or not UTF-8, and then stands behind it.
  bool next(std::string_view& line);
  /// The same without any check but the end of the file.
  bool next_raw(std::string_view& line);
  /// Throws DataError for a text (of one or more lines, begun in the current one) that is too long
  /// or not UTF-8.
  void check(std::string_view text) const;

  /// Where the next line begins, to come back to.
  struct Place {
    std::string_view rest;
    int64_t number;
  };
  Place place() const { return {rest_, number_}; }
  void go_to(const Place& place) {
    rest_ = place.rest;
    number_ = place.number;
  }

  /// Number of the line that next() gave, from 1.
  int64_t number() const { return number_; }
  /// "file:line" of the line that next() gave.
  std::string where() const;
  const std::filesystem::path& path() const { return file_.path(); }
  int64_t max_line_bytes() const { return max_line_bytes_; }

 private:
  MappedFile file_;
  std::string_view rest_;
  int64_t max_line_bytes_;
  int64_t number_ = 0;
};

/// Throws the error of an absent column: the nearest name, and the list of those there are.
[[noreturn]] void throw_absent_column(std::string_view where, std::string_view wanted,
                                      const std::vector<std::string>& columns);

std::unique_ptr<RecordReader> open_tsv(const std::filesystem::path& path,
                                       const std::vector<std::string>& wanted,
                                       const ReaderOptions& options);
std::unique_ptr<RecordReader> open_jsonl(const std::filesystem::path& path,
                                         const std::vector<std::string>& wanted,
                                         const ReaderOptions& options);
std::unique_ptr<RecordReader> open_conllu(const std::filesystem::path& path,
                                          const std::vector<std::string>& wanted,
                                          const ReaderOptions& options);
std::unique_ptr<RecordReader> open_squad(const std::filesystem::path& path,
                                         const std::vector<std::string>& wanted);

}  // namespace filigree
