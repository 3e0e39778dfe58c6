#include "tasks/readers/document_reader.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tasks/readers/lines.h"

namespace filigree {

namespace {

constexpr std::array<std::string_view, 6> kNames{"auto", "lines", "paragraphs",
                                                 "book", "wiki",  "wikitext"};
constexpr size_t kLongestWrapped = 120;           // bytes of a line that goes on in the next one
constexpr size_t kMostJoined = size_t{64} << 10;  // bytes of a paragraph of such lines

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kSpaces = " \t\r\n\v\f";
  const size_t begin = line.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kSpaces) + 1 - begin);
}

/// " = Title = ", but not " = = Section = = ".
bool is_title(std::string_view line) {
  const std::string_view text = trimmed(line);
  return text.size() > 4 && text.starts_with("= ") && text.ends_with(" =") && text[2] != '=' &&
         text[text.size() - 3] != '=';
}

DocumentFormat format_of(LineReader& lines) {
  const LineReader::Place begin = lines.place();
  std::string_view line;
  while (lines.next_raw(line) && is_blank(line)) {
  }
  lines.go_to(begin);
  if (line.starts_with("<doc ")) return DocumentFormat::wiki;
  return is_title(line) ? DocumentFormat::wikitext : DocumentFormat::book;
}

}  // namespace

DocumentFormat parse_document_format(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found != kNames.end()) return static_cast<DocumentFormat>(found - kNames.begin());
  const std::string near = nearest_name(name, kNames);
  throw ConfigError("input",
                    fmt::format("expected one of {}, got \"{}\"", fmt::join(kNames, ", "), name),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

std::string_view name_of(DocumentFormat format) { return kNames.at(static_cast<size_t>(format)); }

/// Throws ConfigError for a file whose name says that it holds records, not documents.
static const std::filesystem::path& expect_documents(const std::filesystem::path& path,
                                                     DocumentFormat wanted) {
  constexpr std::array<std::string_view, 6> kRecords{".tsv",    ".json",   ".jsonl",
                                                     ".ndjson", ".conllu", ".conll"};
  const std::string ending = path.extension().string();
  if (wanted != DocumentFormat::automatic ||
      std::find(kRecords.begin(), kRecords.end(), ending) == kRecords.end()) {
    return path;
  }
  throw ConfigError("input", fmt::format("{} holds records, not documents", path.string()),
                    "prepare it with --label \"\" and without --task, or name a format if it is "
                    "text: lines:FILE");
}

struct DocumentReader::State {
  State(const std::filesystem::path& path, DocumentFormat wanted, int64_t max_line_bytes)
      : lines(expect_documents(path, wanted), max_line_bytes),
        format(wanted == DocumentFormat::automatic ? format_of(lines) : wanted) {}

  LineReader lines;
  DocumentFormat format;
  bool inside = false;  // a paragraph of the document was given
  bool open = false;    // wiki: <doc ...> was read, </doc> was not

  std::optional<Paragraph> paragraph(std::string_view text) {
    Paragraph result{std::string(text), lines.number(), !inside};
    inside = format != DocumentFormat::lines;
    return result;
  }

  std::optional<Paragraph> next() {
    std::string_view line;
    while (lines.next(line)) {
      if (is_blank(line)) continue;
      switch (format) {
        case DocumentFormat::book:
          return wrapped(line);
        case DocumentFormat::wiki:
          if (is_markup(line)) continue;
          break;
        case DocumentFormat::wikitext:
          if (is_title(line)) inside = false;
          break;
        default:
          break;
      }
      return paragraph(line);
    }
    if (open) {
      open = false;
      throw DataError(lines.where(), "the last document does not end: </doc> is missing",
                      "the file may be cut short");
    }
    return std::nullopt;
  }

  /// True for <doc ...> and </doc>. Throws DataError for text outside of them.
  bool is_markup(std::string_view line) {
    if (line.starts_with("<doc ") && line.ends_with(">")) {
      const bool unfinished = open;
      inside = false;
      open = true;
      if (unfinished) {
        throw DataError(lines.where(), "a document begins before the one before it ends",
                        "</doc> is missing above");
      }
      return true;
    }
    if (line == "</doc>") {
      if (!open) throw DataError(lines.where(), "</doc> without a <doc ...>");
      inside = open = false;
      return true;
    }
    if (!open) {
      throw DataError(lines.where(), "text that belongs to no document",
                      "it must stand between <doc ...> and </doc>");
    }
    return false;
  }

  /// Joins the lines of a paragraph, of which `line` is the first.
  std::optional<Paragraph> wrapped(std::string_view line) {
    std::optional<Paragraph> result = paragraph(trimmed(line));
    while (line.size() <= kLongestWrapped && result->text.size() < kMostJoined) {
      const LineReader::Place before = lines.place();
      if (!lines.next_raw(line)) break;
      if (is_blank(line)) break;
      if (line.size() > kLongestWrapped || is_bad(line)) {
        lines.go_to(before);  // a paragraph of its own, or an error of its own
        break;
      }
      result->text += ' ';
      result->text += trimmed(line);
    }
    return result;
  }

  bool is_bad(std::string_view line) const {
    try {
      lines.check(line);
      return false;
    } catch (const DataError&) {
      return true;
    }
  }
};

DocumentReader::DocumentReader(const std::filesystem::path& path, DocumentFormat format,
                               int64_t max_line_bytes)
    : state_(std::make_unique<State>(path, format, max_line_bytes)) {}
DocumentReader::~DocumentReader() = default;
DocumentReader::DocumentReader(DocumentReader&&) noexcept = default;

DocumentFormat DocumentReader::format() const { return state_->format; }
std::optional<Paragraph> DocumentReader::next() { return state_->next(); }
std::string DocumentReader::where(const Paragraph& paragraph) const {
  return fmt::format("{}:{}", state_->lines.path().string(), paragraph.line);
}

std::vector<DocumentFile> find_documents(const std::vector<std::string>& inputs) {
  namespace fs = std::filesystem;
  std::vector<DocumentFile> files;
  for (const std::string& input : inputs) {
    DocumentFile file{input};
    const size_t colon = input.find(':');
    if (!fs::exists(input) && colon != std::string::npos) {
      file = {input.substr(colon + 1), parse_document_format(input.substr(0, colon))};
    }
    if (!fs::exists(file.path)) {
      throw FileError(file.path.string(), "there is no such file or folder", "check the path");
    }
    if (!fs::is_directory(file.path)) {
      files.push_back(file);
      continue;
    }
    std::vector<fs::path> below;
    auto entry = fs::recursive_directory_iterator(file.path);
    for (; entry != fs::recursive_directory_iterator(); ++entry) {
      if (entry->path().filename().string().starts_with(".")) {
        entry.disable_recursion_pending();
      } else if (entry->is_regular_file()) {
        below.push_back(entry->path());
      }
    }
    if (below.empty()) throw DataError(file.path.string(), "the folder holds no file");
    std::sort(below.begin(), below.end());
    for (const fs::path& path : below) files.push_back({path, file.format});
  }
  return files;
}

}  // namespace filigree
