// Prepare: from a text file to a tokenized dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tasks/readers/record_reader.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

struct PrepareOptions {
  ReaderOptions reader;             ///< format, columns, quoting, limits
  std::string text = "sentence";    ///< column of the (first) sentence
  std::string pair;                 ///< column of the second sentence; "": none
  std::string label = "label";      ///< column of the label; "": no labels
  std::vector<std::string> labels;  ///< the known labels in order; empty: whatever comes, sorted
                                    ///< (as numbers if all are numbers)
  int64_t max_length = 512;         ///< tokens at most, special ones included; longer is cut
  int64_t skip_bad_lines = 0;       ///< leave out so many bad lines at most; one more is an error
};

struct PrepareReport {
  int64_t samples = 0;
  int64_t tokens = 0;
  int64_t truncated = 0;              ///< samples cut to max_length
  int64_t skipped = 0;                ///< bad lines left out
  int64_t unknown = 0;                ///< [UNK] tokens
  int64_t longest = 0;                ///< tokens of the longest sample
  std::vector<std::string> labels;    ///< in the order of their classes
  std::vector<int64_t> label_counts;  ///< samples a class
  std::vector<std::string> warnings;  ///< the bad lines left out, "file:line: reason" (at most 20)
};

/// Reads `input`, writes `output`: [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with segments 0 and 1;
/// of a pair that is too long the longer sentence is cut token by token. From CoNLL-U come the
/// words, heads and lemmas of the trees, too. Errors of a line are DataError with where =
/// "file:line"; a wrong label lists the known ones. The output is there whole or not at all. Throws
/// DataError for an input without a sample. Cost: one pass; the ids are held in memory.
PrepareReport prepare(const std::filesystem::path& input, const Tokenizer& tokenizer,
                      const PrepareOptions& options, const std::filesystem::path& output);

}  // namespace filigree
