// Readers: files of records with named columns, one record at a time, with the line in every error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tasks/text/utf8.h"

namespace filigree {

enum class RecordFormat {
  automatic,  ///< by the name: .jsonl/.ndjson/.json, .conllu/.conll, .txt, otherwise TSV
  tsv,        ///< tab-separated, one record a line
  jsonl,      ///< one JSON object a line
  conllu,     ///< dependency trees; columns are the comments "# name = value"
  text,       ///< one text a line, column "text"
};
/// "auto", "tsv", "jsonl", "conllu", "text". Throws ConfigError with the nearest name.
RecordFormat parse_record_format(std::string_view name);

enum class Quoting {
  none,      ///< a quotation mark is a character like any other (GLUE)
  standard,  ///< RFC 4180: "..." holds tabs and line ends, "" is a quotation mark
};
/// "none", "standard". Throws ConfigError.
Quoting parse_quoting(std::string_view name);

struct ReaderOptions {
  RecordFormat format = RecordFormat::automatic;
  std::vector<std::string> columns;  ///< TSV without a header line: its columns' names
  Quoting quoting = Quoting::none;
  std::string word_field;  ///< CoNLL-U: field that becomes TreeWord::label; "": none
  int64_t max_line_bytes = int64_t{16} << 20;  ///< a longer line is an error of its own
};

/// A word of a dependency tree.
struct TreeWord {
  std::string form;
  std::string lemma;  ///< "" if the file has none
  int32_t head = -1;  ///< index of the head word, -1 for the root
  ByteSpan span;      ///< place in the sentence's text
  std::string label;  ///< ReaderOptions::word_field of it, "" if the file has none
  int64_t line = 0;   ///< line of the file that it stands in, from 1
};

/// One record: values in the order of the columns that were asked for.
struct Record {
  std::vector<std::string> values;
  int64_t line = 0;             ///< line that it begins in, from 1
  std::vector<TreeWord> words;  ///< CoNLL-U only: the words of column "text"
};

/// Reads records one by one. Byte order mark and CRLF are dropped; empty lines are skipped.
class RecordReader {
 public:
  /// Opens `path` and finds `wanted` among its columns. Throws FileError; DataError for an empty
  /// file and for an absent column (with the nearest name and the list of all).
  static std::unique_ptr<RecordReader> open(const std::filesystem::path& path,
                                            const std::vector<std::string>& wanted,
                                            const ReaderOptions& options);
  virtual ~RecordReader() = default;

  /// The next record, nothing at the end. A bad line is a DataError with where = "file:line" and
  /// the reason; the reader then stands behind it, so that next() may be called again.
  virtual std::optional<Record> next() = 0;
};

}  // namespace filigree
