#include "tasks/dataset/prepare.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/sample.h"

namespace filigree {

namespace {

constexpr size_t kMostWarnings = 20;

/// The known labels, or those that came so far.
class Labels {
 public:
  explicit Labels(std::vector<std::string> known) : names_(known), fixed_(!known.empty()) {}

  int32_t number(const std::string& where, const std::string& label) {
    const auto found = std::find(names_.begin(), names_.end(), label);
    if (found != names_.end()) return static_cast<int32_t>(found - names_.begin());
    if (label.empty()) throw DataError(where, "the label is empty");
    if (fixed_) {
      throw DataError(where, fmt::format("expected a label among {}, got {}",
                                         fmt::join(names_, ", "), excerpt(label)));
    }
    if (names_.size() == kMostLabels) {
      throw DataError(where, fmt::format("more than {} different labels", kMostLabels),
                      "check that --label names the right column");
    }
    names_.push_back(label);
    return static_cast<int32_t>(names_.size()) - 1;
  }

  /// Sorts labels that were not given; returns the new number of each.
  std::vector<int32_t> settle() {
    std::vector<std::string> sorted = names_;
    if (!fixed_) {
      const bool numbers = std::all_of(names_.begin(), names_.end(), is_number);
      std::sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) {
        return numbers && a.size() != b.size() ? a.size() < b.size() : a < b;
      });
    }
    std::vector<int32_t> order;
    for (const std::string& name : names_) {
      order.push_back(
          static_cast<int32_t>(std::find(sorted.begin(), sorted.end(), name) - sorted.begin()));
    }
    names_ = std::move(sorted);
    return order;
  }

  const std::vector<std::string>& names() const { return names_; }

 private:
  static constexpr size_t kMostLabels = 1000;
  static bool is_number(const std::string& text) {
    return text.find_first_not_of("0123456789") == std::string::npos;
  }
  std::vector<std::string> names_;
  bool fixed_;
};

std::vector<std::string> wanted_columns(const PrepareOptions& options) {
  std::vector<std::string> wanted{options.text};
  if (!options.pair.empty()) wanted.push_back(options.pair);
  if (!options.label.empty()) wanted.push_back(options.label);
  return wanted;
}

void check(const PrepareOptions& options) {
  const int64_t least = options.pair.empty() ? 3 : 5;
  if (options.max_length < least) {
    throw ConfigError("max-length",
                      fmt::format("expected at least {}, got {}", least, options.max_length));
  }
  if (options.skip_bad_lines < 0) {
    throw ConfigError("skip-bad-lines",
                      fmt::format("expected 0 or more, got {}", options.skip_bad_lines));
  }
  if (options.max_length > 1'000'000) {
    throw ConfigError("max-length",
                      fmt::format("expected at most 1000000, got {}", options.max_length));
  }
  const std::set<std::string> different(options.labels.begin(), options.labels.end());
  if (different.size() != options.labels.size()) {
    throw ConfigError("labels", "a label is named twice", "name each once");
  }
  if (options.text.empty()) throw ConfigError("text", "expected the name of a column, got none");
}

/// One way through the input.
class Pass {
 public:
  /// With a parser, that has the texts, their syntax comes from it.
  Pass(const std::filesystem::path& input, const Tokenizer& tokenizer,
       const PrepareOptions& options, TextParser* parser)
      : input_(input),
        tokenizer_(tokenizer),
        options_(options),
        parser_(parser),
        labels_(options.labels),
        writer_(info_of(input, tokenizer, options)) {}

  /// Reads all records; `visit`, if any, gets every text of a good one. What an earlier pass left
  /// out is left out again, for its reasons.
  void read(const std::function<void(const std::string&)>& visit, const Pass* earlier = nullptr) {
    const auto reader = RecordReader::open(input_, wanted_columns(options_), options_.reader);
    for (size_t number = 0;; ++number) {
      const bool was_bad = earlier && number < earlier->bad_.size() && earlier->bad_[number];
      try {
        const std::optional<Record> record = reader->next();
        if (!record) break;
        if (!was_bad) take(*record, visit);
        bad_.push_back(was_bad);
      } catch (const DataError& error) {
        if (earlier && !was_bad) throw;
        if (!earlier) skip(error);
        bad_.push_back(true);
      }
    }
    if (earlier) {
      report_.skipped = earlier->report_.skipped;
      report_.warnings = earlier->report_.warnings;
    }
    if (writer_.size() == 0) {
      throw DataError(input_.string(), "the file holds no sample",
                      "give a file with at least one record");
    }
  }

  PrepareReport save(const std::filesystem::path& output) {
    const std::vector<int32_t> order = labels_.settle();
    writer_.renumber_labels(order);
    report_.labels = labels_.names();
    std::vector<int64_t> counts(report_.labels.size());
    for (size_t c = 0; c < report_.label_counts.size(); ++c) {
      counts[static_cast<size_t>(order[c])] = report_.label_counts[c];
    }
    report_.label_counts = std::move(counts);
    report_.samples = writer_.size();
    report_.tokens = writer_.tokens();
    if (parser_ != nullptr) {
      report_.parses = parser_->counts();
      report_.parser = writer_.info().syntax = parser_->identity();
    }
    writer_.info().label_names = report_.labels;
    writer_.info().truncated = report_.truncated;
    writer_.info().skipped = report_.skipped;
    writer_.save(output);
    return std::move(report_);
  }

 private:
  static DatasetInfo info_of(const std::filesystem::path& input, const Tokenizer& tokenizer,
                             const PrepareOptions& options) {
    DatasetInfo info;
    info.tokenizer_hash = tokenizer.hash();
    info.vocabulary = tokenizer.vocabulary();
    info.max_length = options.max_length;
    info.source = input.filename().string();
    return info;
  }

  /// Counts a bad record, or throws if there are too many; to be called where it is caught.
  void skip(const DataError& error) {
    if (report_.skipped == options_.skip_bad_lines) throw;
    ++report_.skipped;
    if (report_.warnings.size() < kMostWarnings) report_.warnings.emplace_back(error.what());
  }

  void take(const Record& record, const std::function<void(const std::string&)>& visit) {
    const std::string where = fmt::format("{}:{}", input_.string(), record.line);
    std::vector<std::string> texts{record.values[0]};
    if (!options_.pair.empty()) texts.push_back(record.values[1]);
    if (options_.parse && !record.words.empty()) {
      throw ConfigError("parse", "the file has trees already", "leave --parse out");
    }
    if (!record.words.empty()) expect_text_of_trees(options_.text);
    const std::vector<Syntax> syntax = syntax_of(record, texts);
    const Sample sample = make_sample(where, tokenizer_, texts, options_.max_length, syntax);
    // After all that can go wrong, so that a bad line leaves no label behind.
    const int32_t label = options_.label.empty() ? -1 : labels_.number(where, record.values.back());
    writer_.add(sample.ids, sample.words, sample.segments, sample.heads, label, sample.classes,
                sample.links);
    if (!record.words.empty()) writer_.info().syntax = "trees";
    count(sample, label);
    for (size_t t = 0; visit && t < texts.size(); ++t) visit(texts[t]);
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
      require_utf8(fmt::format("{}:{}", input_.string(), record.line), texts[t]);
      syntax.push_back(parser_->syntax(texts[t]));
    }
    return syntax;
  }

  void count(const Sample& sample, int32_t label) {
    report_.truncated += sample.truncated;
    report_.unknown += std::count(sample.ids.begin(), sample.ids.end(), Tokenizer::kUnk);
    report_.longest = std::max(report_.longest, static_cast<int64_t>(sample.ids.size()));
    report_.has_syntax = !sample.heads.empty();
    if (report_.has_syntax) count_links(sample);
    if (label < 0) return;
    report_.label_counts.resize(std::max(report_.label_counts.size(), labels_.names().size()));
    ++report_.label_counts[static_cast<size_t>(label)];
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
  Labels labels_;
  DatasetWriter writer_;
  PrepareReport report_;
  std::vector<bool> bad_;  // (records) left out
};

}  // namespace

PrepareReport prepare(const std::filesystem::path& input, const Tokenizer& tokenizer,
                      const PrepareOptions& options, const std::filesystem::path& output) {
  check(options);
  expect_other_file(output, input);
  expect_writable(output);
  if (!options.parse) {
    Pass pass(input, tokenizer, options, nullptr);
    pass.read({});
    return pass.save(output);
  }
  TextParser parser(*options.parse, options.observer);
  // Everything that can be wrong with the input comes to light before hours of parsing.
  Pass first(input, tokenizer, options, nullptr);
  first.read([&](const std::string& text) { parser.add(text); });
  if (!parser.parse()) {
    PrepareReport report;
    report.stopped = true;
    return report;
  }
  Pass second(input, tokenizer, options, &parser);
  second.read({}, &first);
  return second.save(output);
}

}  // namespace filigree
