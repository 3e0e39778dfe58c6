// Classification of a text or a pair of texts.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "autograd/ops/cross_entropy.h"
#include "core/error.h"
#include "nn/classifier.h"
#include "tasks/task/classes.h"
#include "tasks/training/model_file.h"

namespace filigree {

namespace {

class ClassEvaluation final : public Evaluation {
 public:
  explicit ClassEvaluation(int64_t classes) : counts_(classes) {}
  void add(const Model&, const Tensor& outputs, const Batch& batch) override {
    counts_.add(outputs, std::as_const(batch.labels).span<int32_t>());
  }
  void finish(Metrics& metrics) const override {
    const ConfusionMatrix& m = counts_.confusion();
    metrics.loss = counts_.loss();
    metrics.units = m.total();
    metrics.values = {{"accuracy", m.accuracy()}, {"f1", m.f1()}, {"matthews", m.matthews()}};
  }

 private:
  ClassCounts counts_;
};

class ClassReader final : public TargetReader {
 public:
  explicit ClassReader(const TargetOptions& options) : column_(options.label), names_(options) {}
  std::vector<std::string> columns() const override { return {column_}; }
  std::optional<Target> read(const std::string& where, std::vector<std::string> values,
                             const Record&, const Sample&) override {
    const int32_t label = names_.number(where, values.front());
    if (label < 0) return std::nullopt;
    names_.count(label);
    return Target(label);
  }
  TargetReport finish(DatasetWriter& writer) override { return names_.finish(writer); }

 private:
  std::string column_;
  LabelNames names_;
};

class Classification final : public Task {
 public:
  explicit Classification(const TaskOptions& options) : options_(options) {}

  void expect_data(const TokenDataset& data) const override {
    if (data.has_labels()) return;
    throw DataError(data.path().string(), "the dataset has no labels",
                    "prepare it with --label COLUMN");
  }
  std::unique_ptr<Model> make_model(const ModelInfo& info) const override {
    expect_classes("classification", info.label_names.size());
    return std::make_unique<SequenceClassifier>(
        info.encoder, static_cast<int64_t>(info.label_names.size()), info.pool, info.dtype);
  }
  bool reads_first_token(const ModelInfo& info) const override { return info.pool == Pool::first; }

  int64_t units(const Batch& batch) const override { return batch.sequences(); }
  Variable loss(const Model&, const Variable& outputs, const Batch& batch) const override {
    CrossEntropyOptions options;
    options.smoothing = options_.smoothing;
    return cross_entropy(outputs, batch.labels, options);
  }

  std::vector<MetricKind> metrics() const override { return {{"accuracy"}, {"f1"}, {"matthews"}}; }
  std::unique_ptr<Evaluation> evaluation(const ModelInfo& info,
                                         const TokenDataset&) const override {
    return std::make_unique<ClassEvaluation>(static_cast<int64_t>(info.label_names.size()));
  }
  std::string predict(const ModelInfo& info, const Model&, const Tensor& outputs,
                      const Sample&) const override {
    const std::vector<double> row = probabilities_of(outputs).front();
    const auto best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    nlohmann::json json{{"label", info.label_names[best]}};
    for (size_t c = 0; c < row.size(); ++c) json["probabilities"][info.label_names[c]] = row[c];
    return json.dump();
  }
  std::unique_ptr<TargetReader> target_reader(const TargetOptions& options) const override {
    return std::make_unique<ClassReader>(options);
  }

 private:
  TaskOptions options_;
};

}  // namespace

TaskKind classification_task() {
  return {"classification", "a class for a text or a pair of texts",
          [](const TaskOptions& options) -> std::unique_ptr<Task> {
            return std::make_unique<Classification>(options);
          }};
}

}  // namespace filigree
