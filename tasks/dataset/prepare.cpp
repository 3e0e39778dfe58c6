#include "tasks/dataset/prepare.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "tasks/dataset/dataset.h"

namespace filigree {

namespace {

constexpr size_t kMostWarnings = 20;

/// A sentence cut into pieces, each with its word and, from a tree, the head of that word.
struct Sentence {
  std::vector<Piece> pieces;
  std::vector<int32_t> heads;  // a word; empty without a tree
};

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

/// One sample put together: ids, words, segments, heads.
class SampleBuilder {
 public:
  SampleBuilder(const std::vector<Sentence>& sentences, int64_t max_length) {
    std::vector<size_t> kept = cut(sentences, max_length);
    special(Tokenizer::kCls, 0);
    int32_t first_word = 0;
    for (size_t s = 0; s < sentences.size(); ++s) {
      const Sentence& sentence = sentences[s];
      const auto segment = static_cast<uint8_t>(s);
      const int32_t words_kept = kept[s] == 0 ? 0 : sentence.pieces[kept[s] - 1].word + 1;
      for (size_t i = 0; i < kept[s]; ++i) {
        const Piece& piece = sentence.pieces[i];
        int32_t head = -1;
        if (!sentence.heads.empty()) head = sentence.heads[static_cast<size_t>(piece.word)];
        if (head >= words_kept) head = -1;  // it was cut away
        push(piece.id, first_word + piece.word, segment, head < 0 ? -1 : first_word + head);
      }
      special(Tokenizer::kSep, segment);
      if (!sentence.pieces.empty()) first_word += sentence.pieces.back().word + 1;
    }
    if (sentences.size() == 1) segments.clear();
    if (sentences.front().heads.empty()) heads.clear();
  }

  bool truncated = false;
  std::vector<int32_t> ids, words, heads;
  std::vector<uint8_t> segments;

 private:
  /// Pieces of each sentence that fit: the longer one gives way.
  std::vector<size_t> cut(const std::vector<Sentence>& sentences, int64_t max_length) {
    std::vector<size_t> kept;
    for (const Sentence& sentence : sentences) kept.push_back(sentence.pieces.size());
    const size_t room = static_cast<size_t>(max_length) - 1 - sentences.size();
    const size_t total = kept.front() + (kept.size() > 1 ? kept.back() : 0);
    truncated = total > room;
    if (!truncated) return kept;
    if (kept.size() == 1) return {room};
    // What remains of two lengths a, b when the longer always loses a token.
    const size_t half = room / 2, a = kept[0], b = kept[1];
    if (a <= half) return {a, room - a};
    if (b <= half) return {room - b, b};
    return {room - half, half};
  }
  void push(int32_t id, int32_t word, uint8_t segment, int32_t head) {
    ids.push_back(id);
    words.push_back(word);
    segments.push_back(segment);
    heads.push_back(head);
  }
  void special(int32_t id, uint8_t segment) { push(id, -1, segment, -1); }
};

Sentence tokenize(const Tokenizer& tokenizer, const std::string& text,
                  const std::vector<TreeWord>& tree) {
  Sentence sentence;
  if (tree.empty()) {
    sentence.pieces = tokenizer.encode(text);
    return sentence;
  }
  std::vector<ByteSpan> spans;  // the words of a contraction share one span: kept once
  std::vector<int32_t> word_of_span, span_of_word;
  for (size_t w = 0; w < tree.size(); ++w) {
    if (spans.empty() || !(spans.back() == tree[w].span)) {
      spans.push_back(tree[w].span);
      word_of_span.push_back(static_cast<int32_t>(w));
    }
    span_of_word.push_back(static_cast<int32_t>(spans.size()) - 1);
  }
  sentence.pieces = tokenizer.encode(text, spans);
  for (size_t s = 0; s < spans.size(); ++s) {
    // The head of a contraction is the first head outside of it, -1 if its words hold the root.
    int32_t head = -1;
    for (size_t w = static_cast<size_t>(word_of_span[s]);
         w < tree.size() && span_of_word[w] == static_cast<int32_t>(s); ++w) {
      const int32_t outer = tree[w].head < 0 ? -1 : span_of_word[static_cast<size_t>(tree[w].head)];
      if (outer == static_cast<int32_t>(s)) continue;
      head = outer;
      break;
    }
    sentence.heads.push_back(head);
  }
  return sentence;
}

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
    std::vector<Sentence> sentences{tokenize(tokenizer, record.values[0], record.words)};
    if (!options.pair.empty()) sentences.push_back(tokenize(tokenizer, record.values[1], {}));
    for (const Sentence& sentence : sentences) {
      if (sentence.pieces.empty()) throw DataError(where, "the text is empty");
    }
    const int32_t label = options.label.empty() ? -1 : labels.number(where, record.values.back());
    const SampleBuilder sample(sentences, options.max_length);
    writer.add(sample.ids, sample.words, sample.segments, sample.heads, label);
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
