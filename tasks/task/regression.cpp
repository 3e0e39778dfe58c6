// Regression: a number for a text or a pair of texts.
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "autograd/ops/arithmetic.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape.h"
#include "core/error.h"
#include "nn/classifier.h"
#include "tasks/task/correlation.h"
#include "tasks/task/task.h"
#include "tasks/training/model_file.h"

namespace filigree {

namespace {

class NumberEvaluation final : public Evaluation {
 public:
  void add(const Model&, const Tensor& outputs, const Batch& batch) override {
    for (int64_t b = 0; b < batch.sequences(); ++b) {
      predicted_.push_back(outputs.at(b));
      truth_.push_back(batch.scores.at(b));
      const double error = predicted_.back() - truth_.back();
      squares_ += error * error;
    }
  }
  void finish(Metrics& metrics) const override {
    metrics.units = static_cast<int64_t>(truth_.size());
    metrics.loss = truth_.empty() ? 0 : squares_ / static_cast<double>(truth_.size());
    metrics.values = {{"pearson", pearson(predicted_, truth_)},
                      {"spearman", spearman(predicted_, truth_)}};
  }

 private:
  std::vector<double> predicted_, truth_;
  double squares_ = 0;
};

class NumberReader final : public TargetReader {
 public:
  explicit NumberReader(const TargetOptions& options) : column_(options.label) {
    if (options.labels.empty() && options.map.empty()) return;
    throw ConfigError("regression", "--labels and --label-map are for classes, not for numbers",
                      "leave them out");
  }
  std::vector<std::string> columns() const override { return {column_}; }
  std::optional<Target> read(const std::string& where, std::vector<std::string> values,
                             const Record&, const Sample&) override {
    const std::string& text = values.front();
    double value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() ||
        !std::isfinite(static_cast<float>(value))) {
      throw DataError(where,
                      fmt::format("expected a number as {}, got {}", column_, excerpt(text)));
    }
    least_ = count_ == 0 ? value : std::min(least_, value);
    most_ = count_ == 0 ? value : std::max(most_, value);
    sum_ += value;
    ++count_;
    Target target;
    target.score = static_cast<float>(value);
    return target;
  }
  TargetReport finish(DatasetWriter&) override {
    TargetReport report;
    report.notes.push_back(fmt::format("{} from {} to {}, mean {:.4f}", column_, least_, most_,
                                       sum_ / static_cast<double>(count_)));
    return report;
  }

 private:
  std::string column_;
  double least_ = 0, most_ = 0, sum_ = 0;
  int64_t count_ = 0;
};

/// y = w . tanh(P pool(h)) + b, loss (y - score)^2. Where the answer starts, b, is the mean score
/// of the training data: at the usual rates it would not get there in a short run.
class Regression final : public Task {
 public:
  void expect_data(const TokenDataset& data) const override {
    if (data.has_scores()) return;
    throw DataError(data.path().string(), "the dataset has no numbers to predict",
                    "prepare it with --task regression --label COLUMN");
  }
  std::vector<std::string> label_names(const TokenDataset&) const override { return {}; }
  std::unique_ptr<Model> make_model(const ModelInfo& info) const override {
    return std::make_unique<SequenceClassifier>(info.encoder, 1, info.pool, info.dtype);
  }
  void start_from_data(Model& model, const TokenDataset& data) const override {
    double sum = 0;
    for (int64_t i = 0; i < data.size(); ++i) sum += data.score(i);
    dynamic_cast<SequenceClassifier&>(model).bias().fill(sum / static_cast<double>(data.size()));
  }
  bool reads_first_token(const ModelInfo& info) const override { return info.pool == Pool::first; }

  int64_t units(const Batch& batch) const override { return batch.sequences(); }
  Variable loss(const Model&, const Variable& outputs, const Batch& batch) const override {
    const Variable truth(batch.scores.to(outputs.dtype()).to(outputs.device()));
    const Variable error = sub(reshape(outputs, truth.shape()), truth);
    return sum(mul(error, error));
  }

  std::vector<MetricKind> metrics() const override { return {{"pearson"}, {"spearman"}}; }
  std::unique_ptr<Evaluation> evaluation(const ModelInfo&, const TokenDataset&) const override {
    return std::make_unique<NumberEvaluation>();
  }
  std::string predict(const ModelInfo&, const Model&, const Tensor& outputs,
                      const Sample&) const override {
    return nlohmann::json{{"score", outputs.at(0)}}.dump();
  }
  std::unique_ptr<TargetReader> target_reader(const TargetOptions& options) const override {
    return std::make_unique<NumberReader>(options);
  }
};

}  // namespace

TaskKind regression_task() {
  return {"regression", "a number for a text or a pair of texts",
          [](const TaskOptions& options) -> std::unique_ptr<Task> {
            if (options.smoothing != 0) {
              throw ConfigError("train.smoothing", "regression has no classes to smooth",
                                "leave it out");
            }
            return std::make_unique<Regression>();
          }};
}

}  // namespace filigree
