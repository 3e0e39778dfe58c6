// Question answering: the span of a context that answers a question.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "autograd/ops/arithmetic.h"
#include "autograd/ops/segment_cross_entropy.h"
#include "core/error.h"
#include "nn/token_classifier.h"
#include "tasks/readers/lines.h"
#include "tasks/syntax/parse_texts.h"
#include "tasks/task/answer_metrics.h"
#include "tasks/task/answer_search.h"
#include "tasks/task/question_reader.h"
#include "tasks/task/task.h"
#include "tasks/training/model_file.h"

namespace filigree {

namespace {

/// The best answers as one JSON object.
nlohmann::json to_json(const std::vector<Answer>& answers, std::string_view context) {
  nlohmann::json best = nlohmann::json::array();
  for (const Answer& answer : answers) {
    best.push_back({{"text", answer_text(context, answer.place)},
                    {"bytes", {answer.place.begin, answer.place.end}},
                    {"score", answer.score},
                    {"probability", answer.probability}});
  }
  const std::string text = answers.empty() ? "" : best[0]["text"].get<std::string>();
  return {{"answer", text}, {"best", best}};
}

/// Cross-entropy of a place among the rows [begin, end) of a column; row `target` from `begin`.
double loss_of(const Tensor& logits, int64_t begin, int64_t end, int64_t column, int64_t target) {
  double top = -INFINITY, sum = 0;
  for (int64_t t = begin; t < end; ++t) top = std::max(top, logits.at(2 * t + column));
  for (int64_t t = begin; t < end; ++t) sum += std::exp(logits.at(2 * t + column) - top);
  return top + std::log(sum) - logits.at(2 * (begin + target) + column);
}

/// Joins the features of a question, which come one behind the other.
class AnswerEvaluation final : public Evaluation {
 public:
  AnswerEvaluation(const TokenDataset& data, const AnswerLimits& limits)
      : data_(data), search_(limits) {}

  void add(const Model&, const Tensor& outputs, const Batch& batch) override {
    const Questions& questions = data_.questions();
    const auto offsets = std::as_const(batch.offsets).span<int64_t>();
    const auto in_data = data_.offsets();
    for (size_t b = 0; b < batch.samples.size(); ++b) {
      const auto sample = static_cast<size_t>(batch.samples[b]);
      search_.add(outputs, offsets[b], questions.places(in_data[sample], in_data[sample + 1]));
      for (int64_t column = 0; column < 2; ++column) {
        loss_ += 0.5 * loss_of(outputs, offsets[b], offsets[b + 1], column,
                               batch.spans.at(2 * static_cast<int64_t>(b) + column));
      }
      ++features_;
      const int32_t question = questions.of_sample(batch.samples[b]);
      const bool last = batch.samples[b] + 1 == data_.size() ||
                        questions.of_sample(batch.samples[b] + 1) != question;
      if (last) answer(question);
    }
  }

  void finish(Metrics& metrics) const override {
    const auto mean = [](double sum, int64_t count) {
      return count == 0 ? 0 : sum / static_cast<double>(count);
    };
    metrics.loss = mean(loss_, features_);
    metrics.units = features_;
    metrics.values = {{"f1", mean(100 * f1_, asked_)}, {"exact_match", mean(100 * exact_, asked_)}};
  }

  std::vector<NamedPrediction> predictions() const override {
    const Questions& questions = data_.questions();
    std::vector<NamedPrediction> predictions;
    for (const auto& [question, answers] : answers_) {
      const nlohmann::json json = to_json(answers, questions.context(question));
      predictions.push_back({std::string(questions.id(question)), json["answer"], json.dump()});
    }
    return predictions;
  }

 private:
  void answer(int32_t question) {
    const Questions& questions = data_.questions();
    answers_.emplace_back(question, search_.best());
    search_.clear();
    const std::vector<Answer>& answers = answers_.back().second;
    const std::vector<std::string> right = questions.answers(question);
    if (!right.empty()) {
      const AnswerScore score = score_answer(
          answers.empty() ? "" : answer_text(questions.context(question), answers[0].place), right);
      exact_ += score.exact;
      f1_ += score.f1;
      ++asked_;
    }
  }

  TokenDataset data_;
  AnswerSearch search_;
  double loss_ = 0, exact_ = 0, f1_ = 0;
  int64_t features_ = 0, asked_ = 0;
  std::vector<std::pair<int32_t, std::vector<Answer>>> answers_;  // of every question
};

/// Two logits a token, start and end. The loss of a feature is the mean of two cross-entropies over
/// its tokens: where the answer starts and where it ends; both at [CLS] if it is in another feature
/// (Devlin et al. 2018, arXiv 1810.04805, section 4.2).
class QuestionAnswering final : public Task {
 public:
  explicit QuestionAnswering(const TaskOptions& options)
      : options_(options.answers), limits_{options_.max_answer, options_.best} {
    AnswerSearch{limits_};  // which knows what they may be
  }

  void expect_data(const TokenDataset& data) const override {
    if (data.has_questions()) return;
    throw DataError(data.path().string(), "the dataset has no questions",
                    "prepare a SQuAD file with --task qa");
  }
  std::vector<std::string> label_names(const TokenDataset&) const override { return {}; }
  std::unique_ptr<Model> make_model(const ModelInfo& info) const override {
    return std::make_unique<TokenClassifier>(info.encoder, 2, info.dtype);
  }
  bool reads_first_token(const ModelInfo&) const override { return false; }
  bool answers_questions() const override { return true; }

  int64_t units(const Batch& batch) const override { return batch.sequences(); }
  Variable loss(const Model&, const Variable& outputs, const Batch& batch) const override {
    return scale(segment_cross_entropy(outputs, batch.offsets, batch.spans), 0.5);
  }

  std::vector<MetricKind> metrics() const override { return {{"f1"}, {"exact_match"}}; }
  std::unique_ptr<Evaluation> evaluation(const ModelInfo&,
                                         const TokenDataset& data) const override {
    return std::make_unique<AnswerEvaluation>(data, limits_);
  }

  /// A line is {"question": .., "context": ..}, or the two with a tab between them.
  std::vector<Sample> read_line(const ModelInfo& info, const Tokenizer& tokenizer,
                                const std::string& where, const std::string& line,
                                TextParser* parser) const override {
    const auto [question, context] = texts_of(where, line);
    std::vector<TokenizedText> texts;
    for (const std::string* text : {&question, &context}) {
      if (is_blank(*text)) throw DataError(where, "the question or its context is empty");
      require_utf8(where, *text);
      const Syntax syntax = parser ? parser->parse(*text) : Syntax{};
      texts.push_back(tokenize(where, tokenizer, *text, parser ? &syntax : nullptr));
    }
    std::vector<Sample> samples;
    for (ContextPart& part : make_parts(texts[0], texts[1], features_of(info))) {
      samples.push_back(std::move(part.sample));
    }
    return samples;
  }

  std::string predict(const ModelInfo& info, const Model& model, const Tensor& outputs,
                      const Sample& sample) const override {
    return predict_parts(info, model, std::span(&outputs, 1), std::span(&sample, 1));
  }
  std::string predict_parts(const ModelInfo&, const Model&, std::span<const Tensor> outputs,
                            std::span<const Sample> samples) const override {
    AnswerSearch search(limits_);
    for (size_t s = 0; s < samples.size(); ++s) {
      std::vector<int32_t> places;
      for (size_t t = 0; t < samples[s].ids.size(); ++t) {
        const bool shown = samples[s].segments[t] == 1 && samples[s].words[t] >= 0;
        const ByteSpan place = shown ? samples[s].pieces[t] : ByteSpan{-1, -1};
        places.push_back(static_cast<int32_t>(place.begin));
        places.push_back(static_cast<int32_t>(place.end));
      }
      search.add(outputs[s], 0, places);
    }
    return to_json(search.best(), samples[0].texts.at(1)).dump();
  }

  std::unique_ptr<TargetReader> target_reader(const TargetOptions& options) const override {
    return std::make_unique<QuestionReader>(options);
  }

 private:
  static std::pair<std::string, std::string> texts_of(const std::string& where,
                                                      const std::string& line) {
    constexpr const char* kHint =
        "give {\"question\": \"..\", \"context\": \"..\"}, or a question, a tab and a context";
    if (!line.starts_with('{')) {
      const size_t tab = line.find('\t');
      if (tab == std::string::npos)
        throw DataError(where, "expected a question and a context", kHint);
      return {line.substr(0, tab), line.substr(tab + 1)};
    }
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_discarded()) throw DataError(where, "not JSON", kHint);
    for (const char* key : {"question", "context"}) {
      if (json.contains(key) && json[key].is_string()) continue;
      throw DataError(where, fmt::format("expected a string as \"{}\"", key), kHint);
    }
    return {json["question"].get<std::string>(), json["context"].get<std::string>()};
  }

  FeatureOptions features_of(const ModelInfo& info) const {
    FeatureOptions features;
    const int64_t most = info.encoder.longest_sequence();
    features.max_length = options_.max_length.value_or(
        most > 0 ? std::min(most, features.max_length) : features.max_length);
    // Of a short model each takes a third at most, unless it is given.
    const int64_t third = std::max<int64_t>(1, (features.max_length - 4) / 3);
    features.doc_stride = options_.doc_stride.value_or(std::min(features.doc_stride, third));
    features.max_question = options_.max_question.value_or(std::min(features.max_question, third));
    if (most > 0 && features.max_length > most) {
      throw ConfigError("max-length", fmt::format("expected at most {}, the model's positions, got "
                                                  "{}",
                                                  most, features.max_length));
    }
    check(features);
    return features;
  }

  AnswerOptions options_;
  AnswerLimits limits_;
};

}  // namespace

TaskKind question_answering_task() {
  return {"qa", "the span of a context that answers a question",
          [](const TaskOptions& options) -> std::unique_ptr<Task> {
            if (options.smoothing != 0) {
              throw ConfigError("train.smoothing", "question answering has no classes to smooth",
                                "leave it out");
            }
            return std::make_unique<QuestionAnswering>(options);
          }};
}

}  // namespace filigree
