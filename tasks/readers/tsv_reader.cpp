// Tab-separated values, with or without quoting.
#include <algorithm>
#include <fmt/format.h>

#include "tasks/readers/lines.h"

namespace filigree {

namespace {

class TsvReader final : public RecordReader {
 public:
  TsvReader(const std::filesystem::path& path, const std::vector<std::string>& wanted,
            const ReaderOptions& options)
      : lines_(path, options.max_line_bytes), quoting_(options.quoting) {
    std::vector<std::string> columns = options.columns;
    if (columns.empty()) read_fields(columns);
    for (const std::string& name : wanted) {
      if (std::count(columns.begin(), columns.end(), name) > 1) {
        throw DataError(path.string(), fmt::format("two columns are called \"{}\"", name),
                        "name the columns yourself: --columns");
      }
    }
    width_ = columns.size();
    for (const std::string& name : wanted) {
      const auto found = std::find(columns.begin(), columns.end(), name);
      if (found == columns.end()) throw_absent_column(path.string(), name, columns);
      places_.push_back(static_cast<size_t>(found - columns.begin()));
    }
  }

  std::optional<Record> next() override {
    std::vector<std::string> fields;
    if (!read_fields(fields)) return std::nullopt;
    if (fields.size() != width_) {
      throw DataError(fmt::format("{}:{}", lines_.path().string(), line_),
                      fmt::format("expected {} columns, got {}", width_, fields.size()),
                      quoting_ == Quoting::none
                          ? "columns are separated by tabs; quoted fields need --quoting standard"
                          : "columns are separated by tabs");
    }
    Record record;
    record.line = line_;
    for (const size_t place : places_) record.values.push_back(fields[place]);
    return record;
  }

 private:
  /// Fields of the next line that is not empty; false at the end.
  bool read_fields(std::vector<std::string>& fields) {
    std::string_view line;
    do {
      if (!lines_.next(line)) return false;
    } while (line.empty());
    line_ = lines_.number();
    if (quoting_ == Quoting::none) {
      split(line, fields);
    } else {
      split_quoted(line, fields);
    }
    return true;
  }

  static void split(std::string_view line, std::vector<std::string>& fields) {
    for (;;) {
      const size_t tab = line.find('\t');
      fields.emplace_back(line.substr(0, tab));
      if (tab == std::string_view::npos) return;
      line.remove_prefix(tab + 1);
    }
  }

  /// RFC 4180 with tabs: takes further lines while a quoted field is open.
  void split_quoted(std::string_view line, std::vector<std::string>& fields) {
    int64_t taken = static_cast<int64_t>(line.size());
    const LineReader::Place begun = lines_.place();
    for (;;) {
      std::string field;
      if (line.starts_with('"')) {
        line.remove_prefix(1);
        while (!take_quoted(line, field)) {
          field += '\n';
          if (!lines_.next(line)) {
            lines_.go_to(begun);  // what follows may be sound: the bad line is the first alone
            fail("a quotation mark is never closed");
          }
          taken += static_cast<int64_t>(line.size()) + 1;
          if (taken > lines_.max_line_bytes()) {
            fail(fmt::format("a quoted field is longer than {} bytes", lines_.max_line_bytes()));
          }
        }
        if (!line.empty() && line.front() != '\t') fail("text behind a closing quotation mark");
      } else {
        const size_t tab = line.find('\t');
        field = line.substr(0, tab);
        line.remove_prefix(tab == std::string_view::npos ? line.size() : tab);
      }
      fields.push_back(std::move(field));
      if (line.empty()) return;
      line.remove_prefix(1);
    }
  }

  /// Appends to `field` up to the closing quotation mark, which it removes too; false if the line
  /// ends first.
  static bool take_quoted(std::string_view& line, std::string& field) {
    for (;;) {
      const size_t quote = line.find('"');
      field += line.substr(0, quote);
      if (quote == std::string_view::npos) return false;
      line.remove_prefix(quote + 1);
      if (!line.starts_with('"')) return true;
      field += '"';
      line.remove_prefix(1);
    }
  }

  [[noreturn]] void fail(std::string_view reason) const {
    throw DataError(fmt::format("{}:{}", lines_.path().string(), line_), reason,
                    "if quotation marks are plain characters here, give --quoting none");
  }

  LineReader lines_;
  Quoting quoting_;
  size_t width_ = 0;
  std::vector<size_t> places_;
  int64_t line_ = 0;  // where the current record begins
};

}  // namespace

std::unique_ptr<RecordReader> open_tsv(const std::filesystem::path& path,
                                       const std::vector<std::string>& wanted,
                                       const ReaderOptions& options) {
  return std::make_unique<TsvReader>(path, wanted, options);
}

}  // namespace filigree
