// Masked language modelling as a task: loss, metrics, and a language whose perplexity is known.
#include "nn/masked_lm.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

#include "autograd/backward.h"
#include "autograd/ops/arithmetic.h"
#include "core/error.h"
#include "core/random.h"
#include "tasks/dataset/batch.h"
#include "tasks/task/task.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/trainer.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr int32_t kFirstWord = 5;  // behind the special pieces

/// How likely the words of the language are.
const std::vector<double> kChances{0.5, 0.25, 0.125, 0.125};

int32_t draw_word(RandomStream& random) {
  double u = random.uniform();
  size_t word = 0;
  while (word + 1 < kChances.size() && u >= kChances[word]) u -= kChances[word++];
  return kFirstWord + static_cast<int32_t>(word);
}

/// Samples of independent words, or (`alike`) of one word again and again.
TokenDataset write_samples(const std::string& path, int64_t samples, int64_t length, bool alike,
                           uint64_t seed) {
  DatasetInfo info;
  info.vocabulary = kFirstWord + std::ssize(kChances);
  info.tokenizer_hash = "0123456789abcdef";
  info.task = "text";
  info.max_length = length + 2;
  DatasetWriter writer(info);
  RandomStream random(seed, Purpose::test);
  for (int64_t s = 0; s < samples; ++s) {
    std::vector<int32_t> ids{info.specials.cls}, words{-1};
    for (int64_t i = 0; i < length; ++i) {
      ids.push_back(alike && i > 0 ? ids.back() : draw_word(random));
      words.push_back(static_cast<int32_t>(i));
    }
    ids.push_back(info.specials.sep);
    words.push_back(-1);
    writer.add(ids, words, {}, {}, {});
  }
  writer.save(path);
  return TokenDataset::open(path);
}

/// Nats a hidden token in the best case, where words are independent. [MASK] (8 of 10) says
/// nothing. Another piece is the word itself (1 of 10), or drawn from all but the four marks.
double least_loss() {
  double unseen = 0, seen = 0;
  const auto pieces = static_cast<double>(kChances.size()) + 1;  // [UNK] is a piece, too
  for (const double p : kChances) unseen -= p * std::log(p);
  for (size_t shown = 0; shown <= kChances.size(); ++shown) {  // the last: [UNK]
    for (size_t word = 0; word < kChances.size(); ++word) {
      const double both = kChances[word] * (0.5 * (word == shown) + 0.5 / pieces);
      const double kept = shown < kChances.size() ? 0.5 * kChances[shown] : 0;
      if (both > 0) seen -= both * std::log(both / (kept + 0.5 / pieces));
    }
  }
  return 0.8 * unseen + 0.2 * seen;
}

TrainConfig config_of(const TemporaryFolder& folder, int64_t steps) {
  TrainConfig config;
  config.data.train = folder / "train";
  config.data.dev = folder / "dev";
  config.model.width = 16;
  config.model.layers = 1;
  config.model.heads = 2;
  config.model.dropout = config.model.attention_dropout = 0;
  config.train.task = "masked_lm";
  config.train.batch_tokens = 1024;
  config.train.steps = steps;
  config.train.evaluate_every = steps;
  config.train.lr = 3e-3;
  config.train.threads = 1;
  return config;
}

ModelInfo model_info(const TokenDataset& data, DType dtype) {
  ModelInfo info;
  info.task = "masked_lm";
  info.encoder.vocabulary = data.info().vocabulary;
  info.encoder.width = 8;
  info.encoder.layers = 1;
  info.encoder.heads = 2;
  info.encoder.ffn = 16;
  info.encoder.max_positions = data.longest();
  info.dtype = dtype;
  return info;
}

struct Learner {
  explicit Learner(const TokenDataset& dataset, DType dtype = DType::f64)
      : data(dataset),
        info(model_info(dataset, dtype)),
        task(make_task("test", "masked_lm")),
        model(task->make_model(info)) {
    initialise(*model, 0.3, [](const std::string&) { return 1; });
  }
  Batch batch(const std::vector<int64_t>& samples) const {
    Batch batch = make_batch(data, samples);
    task->draw(batch, 1, 1);
    return batch;
  }
  Variable outputs(const Batch& batch) const {
    return model->forward(token_batch(*model, batch), info.plan().build(sequence_view(batch), 1, 0),
                          {});
  }
  /// Gradients of the mean over the units of all batches, and its value.
  std::map<std::string, std::vector<double>> gradients(const std::vector<Batch>& batches) const {
    int64_t units = 0;
    for (const Batch& each : batches) units += task->units(each);
    std::map<std::string, std::vector<double>> result;
    for (const Batch& each : batches) {
      const Variable loss =
          scale(task->loss(*model, outputs(each), each), 1.0 / static_cast<double>(units));
      backward(loss);
      result["loss"].resize(1);
      result["loss"][0] += loss.value().item();
    }
    for (NamedParameter& parameter : model->named_parameters()) {
      const Tensor gradient = parameter.value.grad();
      if (!gradient.defined()) continue;
      for (int64_t i = 0; i < gradient.numel(); ++i) {
        result[parameter.name].push_back(gradient.at(i));
      }
      parameter.value.zero_grad();
    }
    return result;
  }

  TokenDataset data;
  ModelInfo info;
  std::shared_ptr<const Task> task;
  std::unique_ptr<Model> model;
};

}  // namespace

TEST(MaskedLmTask, SomeBatchesEqualOneAsLarge) {
  const TemporaryFolder folder;
  const Learner learner(write_samples(folder / "train", 8, 20, false, 1));
  const auto whole = learner.gradients({learner.batch({0, 1, 2, 3, 4, 5, 6, 7})});
  const auto parts = learner.gradients(
      {learner.batch({0, 1, 2}), learner.batch({3}), learner.batch({4, 5, 6, 7})});
  ASSERT_EQ(whole.size(), parts.size());
  EXPECT_GT(whole.size(), 10u);
  for (const auto& [name, values] : whole) {
    ASSERT_EQ(values.size(), parts.at(name).size()) << name;
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], parts.at(name)[i], 1e-12) << name << " " << i;
    }
  }
}

TEST(MaskedLmTask, MetricsAreThoseOfTheLoss) {
  const TemporaryFolder folder;
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Learner learner(write_samples(folder / "train", 30, 20, false, 1), dtype);
    Batch batch = learner.batch({0, 1, 2, 3, 4, 5, 6, 7});
    const Variable outputs = learner.outputs(batch);
    const auto evaluation = learner.task->evaluation(learner.info, learner.data);
    evaluation->add(*learner.model, outputs.value(), batch);
    Metrics metrics;
    evaluation->finish(metrics);
    const auto units = static_cast<double>(learner.task->units(batch));
    const double loss = learner.task->loss(*learner.model, outputs, batch).value().item() / units;
    EXPECT_EQ(metrics.units, learner.task->units(batch));
    EXPECT_NEAR(metrics.loss, loss, 1e-5);
    EXPECT_NEAR(metrics.get("perplexity"), std::exp(loss), 1e-4);
    // Right ones by hand.
    const Tensor logits = dynamic_cast<const MaskedLm&>(*learner.model).logits(outputs).value();
    const auto targets = std::as_const(batch.hidden_ids).span<int32_t>();
    ASSERT_EQ(logits.size(0), std::ssize(targets));
    double right = 0;
    for (size_t t = 0; t < targets.size(); ++t) {
      const int64_t row = static_cast<int64_t>(t) * logits.size(1);
      bool best = true;
      for (int64_t v = 0; v < logits.size(1); ++v) {
        best = best && logits.at(row + targets[t]) >= logits.at(row + v);
      }
      right += best;
    }
    EXPECT_NEAR(metrics.get("masked_accuracy"), right / units, 1e-12);
  }
}

TEST(MaskedLmTask, AnEvaluationHidesTheSameForEverySeedAndSetting) {
  const TemporaryFolder folder;
  const TokenDataset data = write_samples(folder / "train", 8, 20, false, 1);
  TaskOptions others;
  others.masking = {0.4, true, true};
  const auto masked = [&](const Task& task, uint64_t seed, int64_t epoch) {
    Batch batch = make_batch(data, std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
    task.draw(batch, seed, epoch);
    const auto ids = std::as_const(batch.ids).span<int32_t>();
    const auto hidden = std::as_const(batch.hidden).span<int32_t>();
    return std::pair(std::vector<int32_t>(hidden.begin(), hidden.end()),
                     std::vector<int32_t>(ids.begin(), ids.end()));
  };
  const auto one = make_task("t", "masked_lm"), other = make_task("t", "masked_lm", others);
  EXPECT_EQ(masked(*one, 1, kEvaluationEpoch), masked(*other, 2, kEvaluationEpoch));
  EXPECT_NE(masked(*one, 1, 1), masked(*one, 1, 2));
  EXPECT_EQ(masked(*other, 1, 1), masked(*other, 1, 2));  // fixed
}

TEST(MaskedLmTask, PerplexityFallsToTheEntropyOfTheLanguage) {
  const TemporaryFolder folder;
  write_samples(folder / "train", 2000, 30, false, 1);
  write_samples(folder / "dev", 500, 30, false, 2);
  const TrainResult result = train(config_of(folder, 300), folder / "run", false, {});
  EXPECT_EQ(result.metric, "perplexity");
  EXPECT_GT(result.last.units, 2000);
  // The dev words are a sample of the language: its own mean is off by about 0.02 nats.
  EXPECT_NEAR(result.last.loss, least_loss(), 0.06);
  EXPECT_LT(result.last.get("perplexity"), 3.5);  // log 4 at the uniform guess
}

TEST(MaskedLmTask, WhatTheOtherTokensTellIsLearned) {
  const TemporaryFolder folder;
  write_samples(folder / "train", 2000, 12, true, 1);
  write_samples(folder / "dev", 200, 12, true, 2);
  const TrainResult result = train(config_of(folder, 300), folder / "run", false, {});
  EXPECT_LT(result.last.get("perplexity"), 1.1);
  EXPECT_GT(result.last.get("masked_accuracy"), 0.98);
}

TEST(MaskedLmTask, SettingsThatItCannotFollow) {
  EXPECT_THAT(error_of([] { make_task("t", "masked_lm", {.smoothing = 0.1}); }),
              HasSubstr("[train.smoothing]"));
  TaskOptions options;
  options.masking.whole_words = true;
  EXPECT_THAT(error_of([&] { make_task("t", "tagging", options); }),
              HasSubstr("tagging hides no tokens"));
  EXPECT_THAT(error_of([] { make_task("t", "masked_lm")->target_reader({}); }),
              HasSubstr("needs no targets"));
}

}  // namespace filigree
