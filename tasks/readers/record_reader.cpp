#include "tasks/readers/record_reader.h"

#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tasks/readers/lines.h"

namespace filigree {

namespace {

template <size_t N>
size_t parse_name(std::string_view option, const std::array<std::string_view, N>& names,
                  std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return i;
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(option,
                    fmt::format("expected one of {}, got \"{}\"", fmt::join(names, ", "), name),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

class TextReader final : public RecordReader {
 public:
  TextReader(const std::filesystem::path& path, size_t columns, int64_t max_line_bytes)
      : lines_(path, max_line_bytes), columns_(columns) {}

  std::optional<Record> next() override {
    std::string_view line;
    while (lines_.next(line)) {
      if (is_blank(line)) continue;
      Record record;
      record.line = lines_.number();
      record.values.assign(columns_, std::string(line));
      return record;
    }
    return std::nullopt;
  }

 private:
  LineReader lines_;
  size_t columns_;
};

std::unique_ptr<RecordReader> open_text(const std::filesystem::path& path,
                                        const std::vector<std::string>& wanted,
                                        const ReaderOptions& options) {
  for (const std::string& name : wanted) {
    if (name == "text" || name == "sentence") continue;
    throw DataError(
        path.string(),
        fmt::format("expected a column {}, but the file is read as plain text", excerpt(name)),
        "if it has columns give --format tsv, jsonl or conllu");
  }
  return std::make_unique<TextReader>(path, wanted.size(), options.max_line_bytes);
}

RecordFormat format_of(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") {
    return RecordFormat::jsonl;
  }
  if (extension == ".conllu" || extension == ".conll") return RecordFormat::conllu;
  if (extension == ".txt") return RecordFormat::text;
  return RecordFormat::tsv;
}

}  // namespace

RecordFormat parse_record_format(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames = {"auto", "tsv", "jsonl", "conllu", "text"};
  return static_cast<RecordFormat>(parse_name("format", kNames, name));
}

Quoting parse_quoting(std::string_view name) {
  constexpr std::array<std::string_view, 2> kNames = {"none", "standard"};
  return static_cast<Quoting>(parse_name("quoting", kNames, name));
}

LineReader::LineReader(const std::filesystem::path& path, int64_t max_line_bytes)
    : file_(path), max_line_bytes_(max_line_bytes) {
  const auto bytes = file_.bytes();
  rest_ = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
  if (is_blank(rest_)) {
    throw DataError(path.string(), "the file is empty", "give a file with at least one record");
  }
}

bool LineReader::next_raw(std::string_view& line) {
  if (rest_.empty()) return false;
  ++number_;
  const size_t end = rest_.find('\n');
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

bool LineReader::next(std::string_view& line) {
  if (!next_raw(line)) return false;
  check(line);
  return true;
}

void LineReader::check(std::string_view text) const {
  if (static_cast<int64_t>(text.size()) > max_line_bytes_) {
    throw DataError(
        where(),
        fmt::format("expected a line of at most {} bytes, got {}", max_line_bytes_, text.size()),
        "divide the line, or raise the limit (--max-line-bytes)");
  }
  require_utf8(where(), text);
}

std::string LineReader::where() const {
  return fmt::format("{}:{}", file_.path().string(), number_);
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

void throw_absent_column(std::string_view where, std::string_view wanted,
                         const std::vector<std::string>& columns) {
  std::vector<std::string> shown;
  for (const std::string& column : columns) {
    if (shown.size() == 20) {
      shown.push_back("...");
      break;
    }
    shown.push_back(excerpt(column));
  }
  const std::string near = nearest_name(wanted, columns);
  throw DataError(where,
                  fmt::format("expected a column {}, got {}", excerpt(wanted),
                              shown.empty() ? "none" : fmt::format("{}", fmt::join(shown, ", "))),
                  near.empty() ? "name the column; for a file without a header line name all its "
                                 "columns (--columns a,b,c)"
                               : fmt::format("did you mean {}?", excerpt(near)));
}

std::unique_ptr<RecordReader> RecordReader::open(const std::filesystem::path& path,
                                                 const std::vector<std::string>& wanted,
                                                 const ReaderOptions& options) {
  if (options.max_line_bytes < 1) {
    throw ConfigError("max-line-bytes",
                      fmt::format("expected at least 1, got {}", options.max_line_bytes));
  }
  const RecordFormat format =
      options.format == RecordFormat::automatic ? format_of(path) : options.format;
  if (!options.columns.empty() && format != RecordFormat::tsv) {
    throw ConfigError("columns", "expected a TSV file: only there columns can be named",
                      "leave the option out, or give --format tsv");
  }
  if (!options.word_field.empty() && format != RecordFormat::conllu) {
    throw ConfigError("label", "labels of words are read from CoNLL-U files only",
                      "give such a file, or --format conllu if its name ends otherwise");
  }
  switch (format) {
    case RecordFormat::jsonl:
      return open_jsonl(path, wanted, options);
    case RecordFormat::conllu:
      return open_conllu(path, wanted, options);
    case RecordFormat::text:
      return open_text(path, wanted, options);
    default:
      return open_tsv(path, wanted, options);
  }
}

}  // namespace filigree
