// Training: memory, accumulation, early stopping, the best model.
#include <cmath>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <utility>

#include "core/allocator.h"
#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/prepare.h"
#include "tasks/language/language.h"
#include "tasks/task/classes.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/trainer.h"
#include "tests/tasks/language_data.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::TemporaryFolder;

using ::testing::HasSubstr;

/// Datasets of the labelling "global", made once.
const TemporaryFolder& data() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    testing::prepare_language(folder, Labelling::global, 1000, 200);
    return true;
  }();
  (void)made;
  return folder;
}

TrainConfig small_config() {
  TrainConfig config;
  config.data.train = data().path() / "train";
  config.data.dev = data().path() / "dev";
  config.model.width = 32;
  config.model.max_positions = 512;
  config.train.batch_tokens = 512;
  config.train.steps = 20;
  return config;
}

/// It keeps freed memory for a while to find late uses, so that the process grows.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else
constexpr bool kAddressSanitizer = false;
#endif

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::string weights_of(const std::filesystem::path& run, int64_t step) {
  return read_file(run / "checkpoints" / ("step-0000000" + std::to_string(step)) /
                   "model.safetensors");
}

}  // namespace

TEST(Training, MemoryIsFlatFromTheSecondStepOn) {
  // 1,000 sentences of one length, 20 a batch: every step asks for the same sizes.
  const TemporaryFolder folder;
  testing::prepare_language(folder, Labelling::syntactic, 1000, 20);
  TrainConfig config = small_config();
  config.data.train = folder.path() / "train";
  config.data.dev = folder.path() / "dev";
  config.attention.pattern = "neighbour:2|global:cls";
  config.train.batch_tokens = 4096;
  config.train.max_sequences = 20;
  config.train.steps = 201;
  config.train.evaluate_every = 1000;
  MemoryStats second;
  int64_t resident = 0;
  TrainObserver observer;
  observer.step = [&](const Progress& progress) {
    if (progress.step == 2) {
      second = memory_stats();
      resident = resident_bytes();
    }
    if (progress.step != 200) return;
    // The batches that wait in the prefetch thread may be one more or less: some kilobytes.
    constexpr int64_t kWaiting = 64 << 10;
    const MemoryStats last = memory_stats();
    EXPECT_GT(last.requests, second.requests + 198 * 50);
    EXPECT_LE(last.peak, second.peak + kWaiting);
    EXPECT_LE(last.in_use + last.cached, second.in_use + second.cached + kWaiting);
    if (!kAddressSanitizer) {
      EXPECT_LE(resident_bytes(), resident + (int64_t{1} << 20));
    }
  };
  train(config, folder.path() / "run", false, observer);
}

TEST(Training, NBatchesAStepEqualOneBatchOfTheirSize) {
  // The same three samples in every step, in one batch or in three; the order of summation apart,
  // the weights are the same (float64, without dropout).
  const TemporaryFolder folder;
  const TokenDataset all = TokenDataset::open(data().path() / "train");
  DatasetWriter few(all.info());
  for (int64_t i = 0; i < 3; ++i) {
    std::vector<int32_t> ids(static_cast<size_t>(all.length(i)));
    all.copy_ids(i, ids.data());
    few.add(ids, all.words(i), {}, {}, all.label(i));
  }
  few.save(folder.path() / "few");
  TrainConfig config = small_config();
  config.data.train = folder.path() / "few";
  config.model.precision = "f64";
  config.model.dropout = config.model.attention_dropout = 0;
  config.train.optimizer = "sgd";
  config.train.steps = 4;
  config.train.lr = 0.1;
  StateDict states[2];
  for (const bool divided : {false, true}) {
    config.train.max_sequences = divided ? 1 : 0;
    config.train.accumulate = divided ? 3 : 1;
    const auto run = folder.path() / (divided ? "divided" : "whole");
    const TrainResult result = train(config, run, false);
    EXPECT_EQ(result.state.cursor, divided ? 12 : 4);
    states[divided] =
        load_model(run / "checkpoints" / "step-00000004" / "model.safetensors").model->state_dict();
  }
  for (const auto& [name, tensor] : states[0]) {
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      EXPECT_NEAR(tensor.at(i), states[1].at(name).at(i), 1e-12) << name;
    }
  }
}

TEST(Training, KeepsTheBestAndStopsWithoutGain) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.lr = 0;  // nothing is ever gained
  config.train.evaluate_every = 3;
  config.train.patience = 2;
  const TrainResult result = train(config, folder.path() / "run", false);
  EXPECT_EQ(result.state.step, 6);
  EXPECT_EQ(result.state.best_step, 0);
  EXPECT_FALSE(result.stopped);
  const LoadedModel best = load_model(find_model(folder.path() / "run"));
  const Metrics again = evaluate(best, best.info.plan(), TokenDataset::open(config.data.dev));
  EXPECT_EQ(again.get("accuracy"), result.state.best_metric);
}

TEST(Training, SameSettingsGiveTheSameBitsAndAnotherSeedDoesNot) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.steps = 5;
  train(config, folder.path() / "a", false);
  train(config, folder.path() / "b", false);
  config.train.seed = 2;
  train(config, folder.path() / "c", false);
  EXPECT_EQ(weights_of(folder.path() / "a", 5), weights_of(folder.path() / "b", 5));
  EXPECT_NE(weights_of(folder.path() / "a", 5), weights_of(folder.path() / "c", 5));
}

TEST(Training, LearnsWhatItsAttentionCanSee) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.attention.pattern = needed_connection(Labelling::global).with;
  config.model.positions = "none";
  config.model.norm = "pre";
  config.model.init_std = 0.1;
  config.model.dropout = config.model.attention_dropout = 0;
  config.train.lr = 3e-3;
  config.train.steps = 0;
  config.train.epochs = 6;
  EXPECT_GT(train(config, folder.path() / "with", false).state.best_metric, 0.95);
  config.attention.pattern = needed_connection(Labelling::global).without;
  EXPECT_EQ(train(config, folder.path() / "without", false).state.best_metric, 0.5);
}

TEST(Training, TheLimitOfSkippedStepsOutlastsAStop) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.model.init_std = 1e30;  // no loss is ever finite
  config.train.nan = "skip";
  config.train.steps = 300;
  config.train.evaluate_every = 1000;
  int64_t last = 0;
  TrainObserver observer;
  observer.step = [&](const Progress& progress) { last = progress.step; };
  observer.stop = [&] { return last == 60; };
  EXPECT_TRUE(train(config, folder / "run", false, observer).stopped);
  EXPECT_THROW(train(config, folder / "run", true, observer), NumericError);
  EXPECT_EQ(last, 100);
}

TEST(Training, PredictionOfATextIsThatOfItsSampleInADataset) {
  // Random edges that differ from sample to sample: the number of a sample bears on it.
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.attention.pattern = "random:2,per=example";
  config.train.steps = 2;
  train(config, folder / "run", false);
  const LoadedModel loaded = load_model(folder.path() / "run/best/model.safetensors");
  const AttentionPlan plan = loaded.info.plan();
  const TokenDataset dev = TokenDataset::open(data().path() / "dev");
  int differ = 0;
  const auto probability = [&](const Batch& batch) {
    return probabilities_of(outputs_of(*loaded.model, plan, batch, loaded.info.seed).values)[0][0];
  };
  evaluate(loaded, plan, dev, 8192, [&](const Batch& batch, const Tensor& outputs) {
    const auto expected = probabilities_of(outputs);
    for (size_t b = 0; b < expected.size(); ++b) {
      const int64_t number = batch.samples[b];
      Sample sample;
      sample.ids.resize(static_cast<size_t>(dev.length(number)));
      dev.copy_ids(number, sample.ids.data());
      sample.words.assign(dev.words(number).begin(), dev.words(number).end());
      sample.classes.assign(dev.classes(number).begin(), dev.classes(number).end());
      EXPECT_NEAR(probability(make_batch(sample, number)), expected[b][0], 1e-6);
      differ += std::abs(probability(make_batch(sample)) - expected[b][0]) > 1e-5;
    }
  });
  EXPECT_GT(differ, 100);
}

TEST(Metrics, AnythingIsBetterThanNoNumber) {
  const double none = std::nan("");
  for (const bool higher : {false, true}) {
    const MetricKind metric{"m", higher};
    EXPECT_TRUE(better(metric, 1, none)) << higher;
    EXPECT_FALSE(better(metric, none, 1)) << higher;
    EXPECT_FALSE(better(metric, none, none)) << higher;
    EXPECT_EQ(better(metric, 2, 1), higher);
  }
}

TEST(Training, ARunMayBeAPartOfItsSchedule) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  std::vector<double> rates;
  TrainObserver observer;
  observer.step = [&](const Progress& progress) { rates.push_back(progress.learning_rate); };
  train(config, folder.path() / "whole", false, observer);
  const std::vector<double> whole = std::exchange(rates, {});
  config.train.steps = 5;
  config.train.schedule_to = 0.25;
  train(config, folder.path() / "first", false, observer);
  config.train.steps = 15;
  config.train.schedule_from = 0.25;
  config.train.schedule_to = 1;
  train(config, folder.path() / "rest", false, observer);
  EXPECT_EQ(rates, whole);
  config.train.schedule_to = 0.25;
  EXPECT_THROW(config.validate(), ConfigError);
}

TEST(Metrics, ReferenceValues) {
  // Wikipedia's example of the phi coefficient: 8 cats, 4 dogs; tp 6, fn 2, fp 1, tn 3.
  ConfusionMatrix m(2);
  for (int i = 0; i < 6; ++i) m.add(1, 1);
  for (int i = 0; i < 2; ++i) m.add(1, 0);
  m.add(0, 1);
  for (int i = 0; i < 3; ++i) m.add(0, 0);
  EXPECT_NEAR(m.accuracy(), 0.75, 1e-12);
  EXPECT_NEAR(m.f1(), 0.8, 1e-12);
  EXPECT_NEAR(m.matthews(), 0.478, 5e-4);
  // scikit-learn 1.3: y_true = 0 1 2 0 1 2, y_pred = 0 2 1 0 0 1.
  ConfusionMatrix three(3);
  const int truth[] = {0, 1, 2, 0, 1, 2}, predicted[] = {0, 2, 1, 0, 0, 1};
  for (int i = 0; i < 6; ++i) three.add(truth[i], predicted[i]);
  EXPECT_NEAR(three.accuracy(), 2.0 / 6, 1e-12);
  EXPECT_NEAR(three.f1(), 0.26666666666666666, 1e-12);
  EXPECT_EQ(ConfusionMatrix(2).matthews(), 0);
}

}  // namespace filigree
