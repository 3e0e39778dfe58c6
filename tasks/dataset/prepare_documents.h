// From documents to a tokenized dataset of packed samples, for pretraining.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/dataset/bad_lines.h"
#include "tasks/readers/document_reader.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

/// Which sentences may share a sample (Liu et al., arXiv 1907.11692, section 4.2).
enum class Packing {
  documents,  ///< DOC-SENTENCES: consecutive ones of one document
  full,       ///< FULL-SENTENCES: the next document goes on behind a [SEP]
};
/// "documents", "full". Throws ConfigError with the nearest name.
Packing parse_packing(std::string_view name);

struct DocumentCounts {
  int64_t files = 0, documents = 0, sentences = 0;
  int64_t cut = 0;  ///< sentences longer than a sample, divided into several
  int64_t samples = 0, tokens = 0, longest = 0;
  int64_t unknown = 0;  ///< [UNK] tokens
};

struct PrepareDocuments : BadLineOptions {
  std::vector<std::string> inputs;  ///< see find_documents()
  Packing packing = Packing::documents;
  std::string task;          ///< name in the table of tasks
  int64_t max_length = 512;  ///< tokens of a sample at most, [CLS] and [SEP] included
  int64_t max_line_bytes = int64_t{16} << 20;  ///< a longer line is a bad line
  /// Called from time to time with what is done so far, of so many files.
  std::function<void(const DocumentCounts& done, int64_t files)> progress;
};

struct DocumentsReport {
  DocumentCounts counts;
  std::vector<std::string> formats;  ///< "path: format" of every file
  BadLines bad_lines;
};

/// Writes samples [CLS] s1 s2 .. [SEP]: consecutive sentences (split_sentences() of a paragraph),
/// as many as fit into max_length; see Packing for what happens at a document's end. A sentence
/// longer than a sample is divided: no token is lost. Words count through a sample; their classes
/// are those of make_sample().
///
/// Bad lines are handled as by prepare(). The output is there whole or not at all. Throws
/// ConfigError, DataError, FileError. Cost: one pass, on all threads; memory does not depend on the
/// size of the input, what does not fit lies in files without names beside the output.
DocumentsReport prepare_documents(const PrepareDocuments& options, const Tokenizer& tokenizer,
                                  const std::filesystem::path& output);

}  // namespace filigree
