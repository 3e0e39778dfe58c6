#include "tasks/dataset/prepare.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
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
  if (options.text.empty()) throw ConfigError("text", "expected the name of a column, got none");
}

}  // namespace

PrepareReport prepare(const std::filesystem::path& input, const Tokenizer& tokenizer,
                      const PrepareOptions& options, const std::filesystem::path& output) {
  check(options);
  const auto reader = RecordReader::open(input, wanted_columns(options), options.reader);
  Labels labels(options.labels);
  PrepareReport report;
  DatasetInfo info;
  info.tokenizer_hash = tokenizer.hash();
  info.vocabulary = tokenizer.vocabulary();
  info.max_length = options.max_length;
  info.source = input.filename().string();
  DatasetWriter writer(info);

  const auto take = [&](const Record& record) {
    const std::string where = fmt::format("{}:{}", input.string(), record.line);
    std::vector<std::string> texts{record.values[0]};
    if (!options.pair.empty()) texts.push_back(record.values[1]);
    const int32_t label = options.label.empty() ? -1 : labels.number(where, record.values.back());
    const Sample sample = make_sample(where, tokenizer, texts, options.max_length, record.words);
    writer.add(sample.ids, sample.words, sample.segments, sample.heads, label, sample.classes);
    report.truncated += sample.truncated;
    report.unknown += std::count(sample.ids.begin(), sample.ids.end(), Tokenizer::kUnk);
    report.longest = std::max(report.longest, static_cast<int64_t>(sample.ids.size()));
    if (label >= 0) {
      report.label_counts.resize(std::max(report.label_counts.size(), labels.names().size()));
      ++report.label_counts[static_cast<size_t>(label)];
    }
  };
  for (;;) {
    try {
      const std::optional<Record> record = reader->next();
      if (!record) break;
      take(*record);
    } catch (const DataError& error) {
      if (report.skipped == options.skip_bad_lines) throw;
      ++report.skipped;
      if (report.warnings.size() < kMostWarnings) report.warnings.emplace_back(error.what());
    }
  }

  const std::vector<int32_t> order = labels.settle();
  writer.renumber_labels(order);
  report.labels = labels.names();
  std::vector<int64_t> counts(report.labels.size());
  for (size_t c = 0; c < report.label_counts.size(); ++c) {
    counts[static_cast<size_t>(order[c])] = report.label_counts[c];
  }
  report.label_counts = std::move(counts);
  report.samples = writer.size();
  report.tokens = writer.tokens();
  writer.info().label_names = report.labels;
  writer.info().truncated = report.truncated;
  writer.info().skipped = report.skipped;
  if (report.samples == 0) {
    throw DataError(input.string(), "the file holds no sample",
                    "give a file with at least one record");
  }
  writer.save(output);
  return report;
}

}  // namespace filigree
