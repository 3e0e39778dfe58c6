// Masked language modelling: the hidden tokens of a text.
#include "nn/masked_lm.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "tasks/task/masking.h"
#include "tasks/task/task.h"
#include "tasks/training/model_file.h"

namespace filigree {

namespace {

constexpr std::string_view kName = "masked_lm";

/// -log softmax(row)_target, and whether the target has the largest logit (of equal ones the
/// first).
struct Judgement {
  double loss;
  bool right;
};
template <class T>
Judgement judge(std::span<const T> row, int32_t target) {
  const auto best = std::max_element(row.begin(), row.end());
  const double most = *best;
  double sum = 0;
  for (const T logit : row) sum += std::exp(static_cast<double>(logit) - most);
  return {std::log(sum) + most - static_cast<double>(row[static_cast<size_t>(target)]),
          best - row.begin() == target};
}

class MaskedLmEvaluation final : public Evaluation {
 public:
  void add(const Model& model, const Tensor& outputs, const Batch& batch) override {
    if (!batch.hidden_ids.defined()) return;
    const auto targets = std::as_const(batch.hidden_ids).span<int32_t>();
    const auto& masked_lm = dynamic_cast<const MaskedLm&>(model);
    // Some rows of logits at a time: all of them would be the largest matrix by far.
    constexpr int64_t kMostLogits = int64_t{1} << 22;
    const auto block = static_cast<size_t>(std::max<int64_t>(1, kMostLogits / batch.vocabulary));
    const NoGrad no_grad;
    const Tensor hidden = outputs.to(masked_lm.encoder().token_table().device());
    for (size_t first = 0; first < targets.size(); first += block) {
      const size_t count = std::min(block, targets.size() - first);
      const Variable rows(hidden.slice(static_cast<int64_t>(first), static_cast<int64_t>(count)));
      add(masked_lm.logits(rows).value().to(kCpu), targets.subspan(first, count));
    }
  }
  void finish(Metrics& metrics) const override {
    const auto count = static_cast<double>(std::max<int64_t>(1, count_));
    metrics.loss = loss_ / count;
    metrics.units = count_;
    metrics.values = {{"perplexity", std::exp(metrics.loss)},
                      {"masked_accuracy", static_cast<double>(right_) / count}};
  }

 private:
  void add(const Tensor& logits, std::span<const int32_t> targets) {
    std::vector<Judgement> judged(targets.size());
    const auto width = static_cast<size_t>(logits.size(1));
    const auto judge_all = [&]<class T>(std::span<const T> values) {
      parallel_for(std::ssize(targets), 16, [&](int64_t i) {
        const auto row = static_cast<size_t>(i);
        judged[row] = judge(values.subspan(row * width, width), targets[row]);
      });
    };
    if (logits.dtype() == DType::f64) {
      judge_all(logits.span<double>());
    } else {
      judge_all(logits.span<float>());
    }
    for (const Judgement& each : judged) {
      loss_ += each.loss;
      right_ += each.right;
    }
    count_ += std::ssize(targets);
  }

  double loss_ = 0;
  int64_t right_ = 0, count_ = 0;
};

/// Loss and perplexity are means over the hidden tokens.
class MaskedLanguageModelling final : public Task {
 public:
  explicit MaskedLanguageModelling(const MaskingOptions& options) : options_(options) {
    check(options);
  }

  void expect_data(const TokenDataset& data) const override {
    const DatasetInfo& info = data.info();
    if (info.specials.mask < info.vocabulary) return;
    throw DataError(
        data.path().string(),
        fmt::format("its {} pieces hold no [MASK] (id {})", info.vocabulary, info.specials.mask),
        "prepare it with a tokenizer that has one");
  }
  std::vector<std::string> label_names(const TokenDataset&) const override { return {}; }
  std::unique_ptr<Model> make_model(const ModelInfo& info) const override {
    return std::make_unique<MaskedLm>(info.encoder, info.dtype);
  }
  bool reads_first_token(const ModelInfo&) const override { return false; }

  /// In an evaluation the tokens are the same for every model, so that all can be compared: BERT's
  /// share, no whole words, a seed of its own.
  void draw(Batch& batch, uint64_t seed, int64_t epoch) const override {
    if (epoch == kEvaluationEpoch) {
      hide_tokens({}, batch, 0, kEvaluationEpoch);
    } else {
      hide_tokens(options_, batch, seed, options_.fixed ? 1 : epoch);
    }
  }
  int64_t units(const Batch& batch) const override {
    return batch.hidden.defined() ? batch.hidden.numel() : 0;
  }
  Variable loss(const Model& model, const Variable& outputs, const Batch& batch) const override {
    return dynamic_cast<const MaskedLm&>(model).loss(outputs, batch.hidden_ids);
  }

  std::vector<MetricKind> metrics() const override {
    return {{"perplexity", false}, {"masked_accuracy"}};
  }
  std::unique_ptr<Evaluation> evaluation(const ModelInfo&, const TokenDataset&) const override {
    return std::make_unique<MaskedLmEvaluation>();
  }
  std::string predict(const ModelInfo&, const Model&, const Tensor&, const Sample&) const override {
    throw ConfigError("predict", "a masked language model has no answer to a whole text",
                      "`filigree evaluate` gives its perplexity on a dataset; to predict, train "
                      "another task from it with --model.init");
  }
  bool reads_documents() const override { return true; }
  std::unique_ptr<TargetReader> target_reader(const TargetOptions&) const override {
    throw ConfigError("task", "masked_lm needs no targets: it hides tokens of the text",
                      "prepare records with --label \"\", documents with --task masked_lm");
  }

 private:
  MaskingOptions options_;
};

}  // namespace

TaskKind masked_lm_task() {
  return {std::string(kName), "the hidden tokens of a text: pretraining",
          [](const TaskOptions& options) -> std::unique_ptr<Task> {
            if (options.smoothing != 0) {
              throw ConfigError("train.smoothing", "masked_lm smooths no targets", "leave it out");
            }
            return std::make_unique<MaskedLanguageModelling>(options.masking);
          },
          true};
}

}  // namespace filigree
