// DocumentReader: running text as documents of paragraphs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace filigree {

enum class DocumentFormat {
  automatic,   ///< by the first line: wiki, wikitext, otherwise book
  lines,       ///< every line is a document
  paragraphs,  ///< the file is one document, every line a paragraph
  book,        ///< the file is one document; lines of at most 120 bytes are parts of a paragraph,
               ///< which a blank line ends; a longer line is a paragraph
  wiki,        ///< WikiExtractor: <doc ...>, a paragraph a line, </doc>
  wikitext,    ///< WikiText: " = Title = " begins a document, a paragraph a line
};
/// "auto", "lines", "paragraphs", "book", "wiki", "wikitext". Throws ConfigError with the nearest
/// name.
DocumentFormat parse_document_format(std::string_view name);
std::string_view name_of(DocumentFormat format);

struct Paragraph {
  std::string text;
  int64_t line = 0;              ///< that it begins in, from 1
  bool begins_document = false;  ///< the first one of its document
};

/// Reads paragraphs one by one, never more than one (of at most 64 KiB and a line) at a time. Byte
/// order marks, carriage returns and blank lines are dropped.
class DocumentReader {
 public:
  /// Throws FileError, and DataError for a file without a visible character.
  DocumentReader(const std::filesystem::path& path, DocumentFormat format, int64_t max_line_bytes);
  ~DocumentReader();
  DocumentReader(DocumentReader&&) noexcept;

  /// Never automatic.
  DocumentFormat format() const;
  /// The next paragraph, nothing at the end. A bad line (too long, not UTF-8, in a wiki file
  /// outside of <doc> and </doc>) is a DataError with where = "file:line"; the reader then stands
  /// behind it.
  std::optional<Paragraph> next();
  /// "file:line" of a paragraph.
  std::string where(const Paragraph& paragraph) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One file to be read.
struct DocumentFile {
  std::filesystem::path path;
  DocumentFormat format = DocumentFormat::automatic;
};

/// Files of inputs: a file; a folder for all files in it and below, by name, without those whose
/// name begins with a dot; either with a format before it ("lines:reviews.txt"). Throws FileError
/// for what is not there, DataError for a folder without files.
std::vector<DocumentFile> find_documents(const std::vector<std::string>& inputs);

}  // namespace filigree
