// TargetReader: from the records of a file to the targets of a dataset.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tasks/dataset/dataset.h"
#include "tasks/dataset/features.h"
#include "tasks/dataset/sample.h"
#include "tasks/readers/record_reader.h"

namespace filigree {

/// A label as it stands in the file, and the name of its class; no name: samples of this label are
/// left out.
using LabelMap = std::vector<std::pair<std::string, std::string>>;

/// "a=x,b=x,c=": labels a and b become class x, samples with c are left out. Throws ConfigError.
LabelMap parse_label_map(const std::string& text);

struct TargetOptions {
  std::string label;                ///< column of the label, or CoNLL-U field of the words' labels
  std::vector<std::string> labels;  ///< the known classes in order; empty: those of the map in its
                                    ///< order, else whatever comes, sorted (as numbers if all are)
  LabelMap map;                     ///< empty: labels are class names
  FeatureOptions features;          ///< of questions
};

/// What is said of the targets when all are read.
struct TargetReport {
  std::vector<std::string> labels;    ///< in the order of their classes
  std::vector<int64_t> label_counts;  ///< samples, or words, a class
  std::string counted = "samples";    ///< what is counted
  std::vector<std::string> notes;     ///< further lines
};

/// A record's texts, and how to make samples of them.
struct RecordTexts {
  const std::string& where;  ///< place of the record, for errors
  const Record& record;
  const std::vector<std::string>& texts;
  std::vector<std::string> values;  ///< of TargetReader::columns()
  std::span<const Syntax> syntax;   ///< as for make_sample()
  const Tokenizer& tokenizer;
  int64_t max_length;
};

/// What becomes of a record, or of a part of it.
struct Example {
  Sample sample;
  Target target;
};

/// Reads the targets of one dataset.
class TargetReader {
 public:
  virtual ~TargetReader() = default;
  /// The columns that it needs beside the texts, in the order of `values` below.
  virtual std::vector<std::string> columns() const { return {}; }
  /// The columns of the texts, if the task knows them; else the user names them.
  virtual std::vector<std::string> text_columns() const { return {}; }
  /// True if every record must have answers (ReaderOptions::answers).
  virtual bool needs_answers() const { return false; }
  /// The CoNLL-U field that it needs of every word (TreeWord::label); "" for none.
  virtual std::string word_field() const { return ""; }
  /// The samples of a record, none if it is left out: by default one, as make_sample() makes it.
  /// `writer` gets them afterwards; what does not stand in samples may be put into it here. Throws
  /// DataError at record.where, and then keeps nothing of the record.
  virtual std::vector<Example> examples(const RecordTexts& record, DatasetWriter& writer);
  /// All samples are in the writer: names the classes, puts them in order, and reports.
  virtual TargetReport finish(DatasetWriter& writer) = 0;

 protected:
  /// The target of the record's only sample; nothing: it is left out. Throws as examples(), which
  /// calls it. A task that makes its own examples has no use for it.
  virtual std::optional<Target> read(const std::string& where, std::vector<std::string> values,
                                     const Record& record, const Sample& sample);
};

}  // namespace filigree
