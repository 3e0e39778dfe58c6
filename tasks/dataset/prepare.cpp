#include "tasks/dataset/prepare.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/sample.h"
#include "tasks/task/task.h"

namespace filigree {

namespace {

void check(const PrepareOptions& options) {
  const int64_t least = options.pair.empty() ? 3 : 5;
  if (options.max_length < least) {
    throw ConfigError("max-length",
                      fmt::format("expected at least {}, got {}", least, options.max_length));
  }
  check(static_cast<const BadLineOptions&>(options));
  if (options.max_length > 1'000'000) {
    throw ConfigError("max-length",
                      fmt::format("expected at most 1000000, got {}", options.max_length));
  }
  if (options.text.empty()) throw ConfigError("text", "expected the name of a column, got none");
}

/// What gives the targets; null without a label.
std::unique_ptr<TargetReader> reader_of(const PrepareOptions& options) {
  std::unique_ptr<TargetReader> reader;
  if (!options.label.empty()) {
    FeatureOptions features;
    features.max_length = options.max_length;
    features.doc_stride = options.doc_stride.value_or(features.doc_stride);
    features.max_question = options.max_question.value_or(features.max_question);
    reader = make_task("task", options.task)
                 ->target_reader({options.label, options.labels, options.label_map, features});
  }
  if ((options.doc_stride || options.max_question) && !(reader && reader->needs_answers())) {
    throw ConfigError(options.doc_stride ? "doc-stride" : "max-question",
                      "only questions are divided into features", "add --task qa");
  }
  return reader;
}

/// The columns of the texts: the task's, if it knows them.
std::vector<std::string> text_columns(const PrepareOptions& options, const TargetReader* targets) {
  std::vector<std::string> columns{options.text};
  if (!options.pair.empty()) columns.push_back(options.pair);
  const std::vector<std::string> known =
      targets == nullptr ? std::vector<std::string>{} : targets->text_columns();
  if (known.empty()) return columns;
  if (columns != known && (columns[0] != PrepareOptions().text || !options.pair.empty())) {
    throw ConfigError("text", fmt::format("the texts of this task are {}", fmt::join(known, ", ")),
                      "leave --text and --pair out");
  }
  return known;
}

/// What became of a record.
enum class Fate : uint8_t { taken, left_out, bad };

/// One way through the input.
class Pass {
 public:
  /// With a parser, that has the texts, their syntax comes from it. `scratch`: a folder with room.
  Pass(const std::filesystem::path& input, const Tokenizer& tokenizer,
       const PrepareOptions& options, TextParser* parser, const std::filesystem::path& scratch)
      : input_(input),
        tokenizer_(tokenizer),
        options_(options),
        parser_(parser),
        targets_(reader_of(options)),
        text_columns_(text_columns(options, targets_.get())),
        writer_(info_of(input, tokenizer, options), scratch),
        bad_lines_(options) {}

  /// Reads all records; `visit`, if any, gets every text of a good one. What an earlier pass left
  /// out is left out again, for its reasons.
  void read(const std::function<void(const std::string&)>& visit, const Pass* earlier = nullptr) {
    ReaderOptions how = options_.reader;
    if (targets_) {
      how.word_field = targets_->word_field();
      how.answers = targets_->needs_answers();
    }
    const auto reader = RecordReader::open(input_, wanted_columns(), how);
    for (size_t number = 0;; ++number) {
      const Fate fate =
          earlier && number < earlier->fates_.size() ? earlier->fates_[number] : Fate::taken;
      const bool was_bad = fate == Fate::bad;
      try {
        const std::optional<Record> record = reader->next();
        if (!record) break;
        fates_.push_back(fate == Fate::taken ? take(*record, visit) : fate);
        report_.left_out += fates_.back() == Fate::left_out;
      } catch (const DataError& error) {
        if (earlier && !was_bad) throw;
        if (!earlier) bad_lines_.add(error);
        fates_.push_back(Fate::bad);
      }
    }
    if (earlier) bad_lines_ = earlier->bad_lines_;
    bad_lines_.expect_few(input_.string(), writer_.size());
    if (writer_.size() == 0) {
      throw DataError(
          input_.string(),
          report_.left_out > 0
              ? fmt::format("all {} samples are left out by --label-map", report_.left_out)
              : "the file holds no sample",
          "give a file with at least one record");
    }
  }

  PrepareReport save(const std::filesystem::path& output) {
    if (targets_) report_.targets = targets_->finish(writer_);
    report_.samples = writer_.size();
    report_.tokens = writer_.tokens();
    if (parser_ != nullptr) {
      report_.parses = parser_->counts();
      report_.parser = writer_.info().syntax = parser_->identity();
    }
    writer_.info().truncated = report_.truncated;
    writer_.info().skipped = report_.skipped = bad_lines_.count();
    report_.bad_lines = bad_lines_.shown();
    writer_.save(output);
    return std::move(report_);
  }

 private:
  std::vector<std::string> wanted_columns() const {
    std::vector<std::string> wanted = text_columns_;
    if (!targets_) return wanted;
    for (std::string& column : targets_->columns()) wanted.push_back(std::move(column));
    return wanted;
  }

  static DatasetInfo info_of(const std::filesystem::path& input, const Tokenizer& tokenizer,
                             const PrepareOptions& options) {
    DatasetInfo info;
    info.task = options.label.empty() ? kNoTask : options.task;
    info.tokenizer_hash = tokenizer.hash();
    info.vocabulary = tokenizer.vocabulary();
    info.specials = tokenizer.specials();
    info.max_length = options.max_length;
    info.source = input.filename().string();
    return info;
  }

  Fate take(const Record& record, const std::function<void(const std::string&)>& visit) {
    const std::string where = place_of(record);
    const auto texts_end = record.values.begin() + static_cast<long>(text_columns_.size());
    const std::vector<std::string> texts(record.values.begin(), texts_end);
    if (options_.parse && !record.words.empty()) {
      throw ConfigError("parse", "the file has trees already", "leave --parse out");
    }
    if (!record.words.empty()) expect_text_of_trees(options_.text);
    const std::vector<Syntax> syntax = syntax_of(record, texts);
    std::vector<Example> examples(1);
    if (targets_) {  // after all that can go wrong, so that a bad line leaves no label behind
      examples = targets_->examples({where,
                                     record,
                                     texts,
                                     {texts_end, record.values.end()},
                                     syntax,
                                     tokenizer_,
                                     options_.max_length},
                                    writer_);
    } else {
      examples[0].sample = make_sample(where, tokenizer_, texts, options_.max_length, syntax);
    }
    if (examples.empty()) return Fate::left_out;
    for (const auto& [sample, target] : examples) {
      writer_.add(sample.ids, sample.words, sample.segments, sample.heads, target, sample.classes,
                  sample.links);
      count(sample);
    }
    if (!record.words.empty()) writer_.info().syntax = "trees";
    for (size_t t = 0; visit && t < texts.size(); ++t) visit(texts[t]);
    return Fate::taken;
  }

  std::string place_of(const Record& record) const {
    if (!record.where.empty()) return record.where;
    return fmt::format("{}:{}", input_.string(), record.line);
  }

  /// The words of a tree are places in the sentence's own text, in no other column.
  static void expect_text_of_trees(const std::string& column) {
    if (column == "text" || column == "sentence") return;
    throw ConfigError("text",
                      fmt::format("expected the text that the trees of CoNLL-U belong to, got the "
                                  "column {}",
                                  excerpt(column)),
                      "give --text text; for another column make a TSV file of it");
  }

  std::vector<Syntax> syntax_of(const Record& record, const std::vector<std::string>& texts) {
    std::vector<Syntax> syntax;
    if (!record.words.empty()) syntax.push_back(syntax_of_tree(record.words));
    for (size_t t = 0; parser_ != nullptr && t < texts.size(); ++t) {
      require_utf8(place_of(record), texts[t]);
      syntax.push_back(parser_->syntax(texts[t]));
    }
    return syntax;
  }

  void count(const Sample& sample) {
    report_.truncated += sample.truncated;
    report_.unknown += std::count(sample.ids.begin(), sample.ids.end(), tokenizer_.specials().unk);
    report_.longest = std::max(report_.longest, static_cast<int64_t>(sample.ids.size()));
    report_.has_syntax = !sample.heads.empty();
    if (report_.has_syntax) count_links(sample);
  }

  void count_links(const Sample& sample) {
    report_.unparsed += sample.unparsed;
    std::set<int32_t> linked(sample.links.begin(), sample.links.end());
    report_.links += static_cast<int64_t>(sample.links.size() / 2);
    for (size_t i = 0; i < sample.ids.size(); ++i) {
      if (sample.heads[i] < 0) continue;
      linked.insert({sample.words[i], sample.heads[i]});
      report_.links += sample.words[i] != sample.words[i - 1];  // once a word
    }
    for (const int32_t word : sample.words) report_.alone += word >= 0 && !linked.contains(word);
  }

  const std::filesystem::path& input_;
  const Tokenizer& tokenizer_;
  const PrepareOptions& options_;
  TextParser* parser_;
  std::unique_ptr<TargetReader> targets_;  // null: there are none
  std::vector<std::string> text_columns_;
  DatasetWriter writer_;
  BadLines bad_lines_;
  PrepareReport report_;
  std::vector<Fate> fates_;  // (records)
};

}  // namespace

PrepareReport prepare(const std::filesystem::path& input, const Tokenizer& tokenizer,
                      const PrepareOptions& options, const std::filesystem::path& output) {
  check(options);
  expect_other_file(output, input);
  expect_writable(output);
  const std::filesystem::path scratch = std::filesystem::absolute(output).parent_path();
  if (!options.parse) {
    Pass pass(input, tokenizer, options, nullptr, scratch);
    pass.read({});
    return pass.save(output);
  }
  TextParser parser(*options.parse, options.observer);
  // Everything that can be wrong with the input comes to light before hours of parsing.
  Pass first(input, tokenizer, options, nullptr, scratch);
  first.read([&](const std::string& text) { parser.add(text); });
  if (!parser.parse()) {
    PrepareReport report;
    report.stopped = true;
    return report;
  }
  Pass second(input, tokenizer, options, &parser, scratch);
  second.read({}, &first);
  return second.save(output);
}

}  // namespace filigree
