// Prepare: from a text file to a tokenized dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tasks/dataset/bad_lines.h"
#include "tasks/readers/record_reader.h"
#include "tasks/syntax/parse_texts.h"
#include "tasks/task/target_reader.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

struct PrepareOptions : BadLineOptions {
  ReaderOptions reader;                 ///< format, columns, quoting, limits
  std::string text = "sentence";        ///< column of the (first) sentence
  std::string pair;                     ///< column of the second sentence; "": none
  std::string task = "classification";  ///< name in the table of tasks
  std::string label = "label";          ///< column (or CoNLL-U field) of the target; "": no targets
  std::vector<std::string> labels;      ///< see TargetOptions
  LabelMap label_map;                   ///< see TargetOptions
  std::optional<int64_t> doc_stride;    ///< see FeatureOptions; for questions only
  std::optional<int64_t> max_question;  ///< the same
  int64_t max_length = 512;             ///< tokens at most, special ones included; longer is cut
  std::optional<ParseOptions> parse;    ///< parse the texts; not for CoNLL-U, which has trees
  ParseObserver observer;               ///< of the parsing
};

struct PrepareReport {
  bool stopped = false;  ///< by the observer: parses are kept, nothing else is written
  int64_t samples = 0;
  int64_t tokens = 0;
  int64_t truncated = 0;               ///< samples cut to max_length
  int64_t skipped = 0;                 ///< bad lines left out
  int64_t left_out = 0;                ///< samples left out by the label map
  int64_t unknown = 0;                 ///< [UNK] tokens
  int64_t longest = 0;                 ///< tokens of the longest sample
  ParseCounts parses;                  ///< with options.parse
  std::string parser;                  ///< its name and version
  bool has_syntax = false;             ///< from trees or a parser
  int64_t unparsed = 0;                ///< tokens of sentences that could not be parsed
  int64_t alone = 0;                   ///< all tokens of words without a link, special ones aside
  int64_t links = 0;                   ///< links, each once
  TargetReport targets;                ///< what was read of the targets
  std::vector<std::string> bad_lines;  ///< the first ones left out, "[file:line] reason (hint)"
};

/// Reads `input`, writes `output`: [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with segments 0 and 1;
/// of a pair that is too long the longer sentence is cut token by token. From CoNLL-U come the
/// words, heads and lemmas of the trees, too; `options.parse` parses raw English text, after one
/// pass that finds what is wrong with the input. The targets are read as the task says, which may
/// make several samples of a record: the features of a question.
///
/// A bad line never gets into the dataset, and never goes unseen: the input is read to its end, and
/// if more lines than skip_bad_lines are bad, a DataError lists the first of them, each with file,
/// line and reason, and counts all; under `strict` it names the first bad line alone. The output is
/// there whole or not at all; that it can be written is looked at first. Throws DataError for an
/// input without a sample. Cost: one pass (two and the parsing with `parse`); what does not fit
/// into memory lies in files without names beside the output, targets apart.
PrepareReport prepare(const std::filesystem::path& input, const Tokenizer& tokenizer,
                      const PrepareOptions& options, const std::filesystem::path& output);

}  // namespace filigree
