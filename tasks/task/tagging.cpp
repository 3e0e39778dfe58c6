// Tagging: a class for every word.
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "autograd/ops/cross_entropy.h"
#include "core/error.h"
#include "nn/token_classifier.h"
#include "tasks/task/classes.h"
#include "tasks/training/model_file.h"

namespace filigree {

namespace {

class TagEvaluation final : public Evaluation {
 public:
  TagEvaluation(int64_t classes, int64_t unlabelled) : counts_(classes), unlabelled_(unlabelled) {}
  void add(const Model&, const Tensor& outputs, const Batch& batch) override {
    counts_.add(outputs, std::as_const(batch.token_labels).span<int32_t>());
  }
  void finish(Metrics& metrics) const override {
    const ConfusionMatrix& m = counts_.confusion();
    metrics.loss = counts_.loss();
    metrics.units = m.total();
    const double share = static_cast<double>(m.total()) /
                         static_cast<double>(std::max<int64_t>(1, m.total() + unlabelled_));
    metrics.values = {
        {"accuracy", m.accuracy()}, {"accuracy_all", m.accuracy() * share}, {"f1", m.f1()}};
  }

 private:
  ClassCounts counts_;
  int64_t unlabelled_;
};

/// Labels of the words of a tree, each on the first token of its word.
class TagReader final : public TargetReader {
 public:
  explicit TagReader(const TargetOptions& options) : field_(options.label), names_(options) {
    for (const auto& [label, name] : options.map) {
      if (!name.empty()) continue;
      throw ConfigError("label-map",
                        fmt::format("tagging cannot leave out the words of \"{}\"", label),
                        "give the label a class");
    }
  }
  std::string word_field() const override { return field_; }

  std::optional<Target> read(const std::string& where, std::vector<std::string>,
                             const Record& record, const Sample& sample) override {
    if (record.words.empty()) {
      throw DataError(where, "expected words with labels, got a text without",
                      "tagging takes CoNLL-U files: --format conllu");
    }
    const size_t known = names_.size();
    std::vector<int32_t> labels;  // of the words as the sample counts them
    int64_t shared = 0;
    try {
      for (size_t w = 0; w < record.words.size(); ++w) {
        const int32_t label =
            names_.number(at_line(where, record.words[w].line), record.words[w].label);
        // The words of a contraction share their place: the first one's label stands for it.
        if (w > 0 && record.words[w].span == record.words[w - 1].span) {
          ++shared;
        } else {
          labels.push_back(label);
        }
      }
    } catch (const DataError&) {
      names_.shrink(known);
      throw;
    }
    Target target;
    target.token_labels.assign(sample.ids.size(), -1);
    int64_t placed = 0;
    for (size_t i = 0; i < sample.words.size(); ++i) {
      const int32_t word = sample.words[i];
      if (word < 0 || (i > 0 && sample.words[i - 1] == word)) continue;
      target.token_labels[i] = labels.at(static_cast<size_t>(word));
      names_.count(target.token_labels[i]);
      ++placed;
    }
    const int64_t last = last_word(sample);
    const auto words = static_cast<int64_t>(labels.size());
    cut_ += sample.truncated ? words - last - 1 : 0;
    shared_ += shared;
    without_ += words - placed - (sample.truncated ? words - last - 1 : 0);
    return target;
  }

  TargetReport finish(DatasetWriter& writer) override {
    TargetReport report = names_.finish(writer);
    report.counted = "words";
    writer.info().unlabelled = cut_ + shared_ + without_;
    report.notes.push_back(
        fmt::format("words without a token to carry their label: {} cut off, {} later words of "
                    "contractions, {} without a piece of their own",
                    cut_, shared_, without_));
    return report;
  }

 private:
  /// "file:line" with another line.
  static std::string at_line(const std::string& where, int64_t line) {
    return fmt::format("{}:{}", where.substr(0, where.rfind(':')), line);
  }
  static int64_t last_word(const Sample& sample) {
    return *std::max_element(sample.words.begin(), sample.words.end());
  }

  std::string field_;
  LabelNames names_;
  int64_t cut_ = 0, shared_ = 0, without_ = 0;
};

class Tagging final : public Task {
 public:
  explicit Tagging(const TaskOptions& options) : options_(options) {}

  void expect_data(const TokenDataset& data) const override {
    if (data.has_token_labels()) return;
    throw DataError(data.path().string(), "the dataset has no labels of words",
                    "prepare a CoNLL-U file with --task tagging --label upos");
  }
  std::unique_ptr<Model> make_model(const ModelInfo& info) const override {
    expect_classes("tagging", info.label_names.size());
    return std::make_unique<TokenClassifier>(
        info.encoder, static_cast<int64_t>(info.label_names.size()), info.dtype);
  }
  bool reads_first_token(const ModelInfo&) const override { return false; }

  int64_t units(const Batch& batch) const override {
    const auto labels = std::as_const(batch.token_labels).span<int32_t>();
    return std::count_if(labels.begin(), labels.end(), [](int32_t label) { return label >= 0; });
  }
  Variable loss(const Model&, const Variable& outputs, const Batch& batch) const override {
    CrossEntropyOptions options;
    options.smoothing = options_.smoothing;
    return cross_entropy(outputs, batch.token_labels, options);
  }

  std::vector<MetricKind> metrics() const override {
    return {{"accuracy"}, {"accuracy_all"}, {"f1"}};
  }
  std::unique_ptr<Evaluation> evaluation(const ModelInfo& info,
                                         const TokenDataset& data) const override {
    return std::make_unique<TagEvaluation>(static_cast<int64_t>(info.label_names.size()),
                                           data.info().unlabelled);
  }
  std::string predict(const ModelInfo& info, const Model&, const Tensor& outputs,
                      const Sample& sample) const override {
    const auto rows = probabilities_of(outputs);
    nlohmann::json words = nlohmann::json::array();
    for (size_t w = 0; w < sample.places.size(); ++w) {
      const ByteSpan& place = sample.places[w];
      words.push_back({{"word", sample.texts[sample.text_of[w]].substr(
                                    static_cast<size_t>(place.begin),
                                    static_cast<size_t>(place.end - place.begin))},
                       {"tag", nullptr}});  // none if the word was cut off
    }
    for (size_t i = 0; i < sample.words.size(); ++i) {
      const int32_t word = sample.words[i];
      if (word < 0 || (i > 0 && sample.words[i - 1] == word)) continue;
      const auto best = std::max_element(rows[i].begin(), rows[i].end());
      words[static_cast<size_t>(word)]["tag"] =
          info.label_names[static_cast<size_t>(best - rows[i].begin())];
      words[static_cast<size_t>(word)]["probability"] = *best;
    }
    return nlohmann::json{{"words", words}}.dump();
  }
  std::unique_ptr<TargetReader> target_reader(const TargetOptions& options) const override {
    return std::make_unique<TagReader>(options);
  }

 private:
  TaskOptions options_;
};

}  // namespace

TaskKind tagging_task() {
  return {"tagging", "a class for every word",
          [](const TaskOptions& options) -> std::unique_ptr<Task> {
            return std::make_unique<Tagging>(options);
          }};
}

}  // namespace filigree
