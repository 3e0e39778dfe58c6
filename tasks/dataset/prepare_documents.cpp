#include "tasks/dataset/prepare_documents.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "core/file.h"
#include "core/parallel.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/sample_packer.h"
#include "tasks/text/sentences.h"

namespace filigree {

namespace {

// Paragraphs that are tokenized at once.
constexpr size_t kMostParagraphs = 4096;
constexpr size_t kMostBytes = size_t{4} << 20;

void check(const PrepareDocuments& options) {
  check(static_cast<const BadLineOptions&>(options));
  if (options.max_length < 3 || options.max_length > 1'000'000) {
    throw ConfigError("max-length",
                      fmt::format("expected 3 to 1000000, got {}", options.max_length));
  }
  if (options.inputs.empty()) throw ConfigError("input", "no input is given");
}

DatasetInfo info_of(const PrepareDocuments& options, const Tokenizer& tokenizer, size_t files) {
  DatasetInfo info;
  info.task = options.task;
  info.tokenizer_hash = tokenizer.hash();
  info.vocabulary = tokenizer.vocabulary();
  info.specials = tokenizer.specials();
  info.max_length = options.max_length;
  info.source = options.inputs.front();
  if (files > 1) info.source += fmt::format(" and others, {} files", files);
  return info;
}

/// The sentences of a paragraph that have tokens.
std::vector<TokenSentence> tokenize(const Tokenizer& tokenizer, std::string_view paragraph) {
  std::vector<TokenSentence> sentences;
  for (const ByteSpan& span : split_sentences(paragraph)) {
    const std::string_view text = paragraph.substr(static_cast<size_t>(span.begin),
                                                   static_cast<size_t>(span.end - span.begin));
    TokenSentence sentence;
    for (const ByteSpan& word : split_words(text)) {
      sentence.names.push_back(fold_case(text.substr(static_cast<size_t>(word.begin),
                                                     static_cast<size_t>(word.end - word.begin))));
    }
    if (sentence.names.empty()) continue;
    for (const Piece& piece : tokenizer.encode(text)) {
      sentence.ids.push_back(piece.id);
      sentence.words.push_back(piece.word);
    }
    if (!sentence.ids.empty()) sentences.push_back(std::move(sentence));
  }
  return sentences;
}

/// One way through the files.
class Pass {
 public:
  Pass(const PrepareDocuments& options, const Tokenizer& tokenizer,
       const std::vector<DocumentFile>& files, const std::filesystem::path& output)
      : options_(options),
        tokenizer_(tokenizer),
        files_(files),
        writer_(info_of(options, tokenizer, files.size()),
                std::filesystem::absolute(output).parent_path()),
        packer_(writer_, options.packing, options.max_length),
        report_{{}, {}, BadLines(options)} {}

  void read() {
    for (const DocumentFile& file : files_) {
      std::optional<DocumentReader> reader;
      try {
        reader.emplace(file.path, file.format, options_.max_line_bytes);
      } catch (const DataError& error) {  // an empty file is as bad as a bad line
        report_.bad_lines.add(error);
        continue;
      }
      report_.formats.push_back(
          fmt::format("{}: {}", file.path.string(), name_of(reader->format())));
      read(*reader);
      ++report_.counts.files;
    }
    report_.bad_lines.expect_few(
        files_.size() == 1 ? files_.front().path.string() : fmt::format("{} files", files_.size()),
        report_.counts.sentences);
    packer_.finish();
  }

  DocumentsReport save(const std::filesystem::path& output) {
    writer_.info().skipped = report_.bad_lines.count();
    tell();
    writer_.save(output);
    return std::move(report_);
  }

 private:
  void read(DocumentReader& reader) {
    std::vector<Paragraph> paragraphs;
    size_t bytes = 0;
    bool begins = false;  // a document's first paragraph was bad: the next one stands for it
    for (bool more = true; more;) {
      try {
        std::optional<Paragraph> paragraph = reader.next();
        more = paragraph.has_value();
        if (more) {
          bytes += paragraph->text.size();
          paragraphs.push_back(std::move(*paragraph));
        }
      } catch (const DataError& error) {
        report_.bad_lines.add(error);
      }
      if (!more || paragraphs.size() == kMostParagraphs || bytes >= kMostBytes) {
        pack(paragraphs, begins);
        paragraphs.clear();
        bytes = 0;
      }
    }
  }

  void pack(const std::vector<Paragraph>& paragraphs, bool& begins) {
    std::vector<std::vector<TokenSentence>> tokenized(paragraphs.size());
    parallel_for(std::ssize(paragraphs), 4, [&](int64_t i) {
      const auto p = static_cast<size_t>(i);
      tokenized[p] = tokenize(tokenizer_, paragraphs[p].text);
    });
    for (size_t p = 0; p < paragraphs.size(); ++p) {
      begins = begins || paragraphs[p].begins_document;
      for (const TokenSentence& sentence : tokenized[p]) {
        packer_.add(sentence, begins);
        report_.counts.documents += begins;
        begins = false;
        ++report_.counts.sentences;
        report_.counts.unknown +=
            std::count(sentence.ids.begin(), sentence.ids.end(), tokenizer_.specials().unk);
      }
    }
    tell();
  }

  void tell() {
    DocumentCounts& counts = report_.counts;
    counts.samples = writer_.size();
    counts.tokens = writer_.tokens();
    counts.longest = packer_.longest();
    counts.cut = packer_.cut();
    if (options_.progress) options_.progress(counts, std::ssize(files_));
  }

  const PrepareDocuments& options_;
  const Tokenizer& tokenizer_;
  const std::vector<DocumentFile>& files_;
  DatasetWriter writer_;
  SamplePacker packer_;
  DocumentsReport report_;
};

}  // namespace

Packing parse_packing(std::string_view name) {
  constexpr std::array<std::string_view, 2> kNames{"documents", "full"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Packing>(i);
  }
  const std::string near = nearest_name(name, kNames);
  throw ConfigError("pack", fmt::format("expected documents or full, got \"{}\"", name),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

DocumentsReport prepare_documents(const PrepareDocuments& options, const Tokenizer& tokenizer,
                                  const std::filesystem::path& output) {
  check(options);
  const std::vector<DocumentFile> files = find_documents(options.inputs);
  for (const DocumentFile& file : files) expect_other_file(output, file.path);
  expect_writable(output);
  Pass pass(options, tokenizer, files, output);
  pass.read();
  return pass.save(output);
}

}  // namespace filigree
