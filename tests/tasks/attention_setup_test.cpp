// Training, evaluation and prediction under attention that follows trees, words and a density.
#include "tasks/training/attention_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/prepare.h"
#include "tasks/language/language.h"
#include "tasks/task/classes.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/trainer.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::error_of;

using testing::TemporaryFolder;

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Datasets "train" and "dev" of a labelling, with trees, and "flat", without.
void make_datasets(Labelling labelling, int64_t train, const std::filesystem::path& folder) {
  LanguageOptions options;
  options.labelling = labelling;
  options.train = train;
  options.dev = 200;
  write_language(options, folder);
  TokenizerOptions words;
  words.kind = TokenizerKind::word;
  const Tokenizer tokenizer = Tokenizer::train(words, language_vocabulary());
  PrepareOptions trees;
  trees.text = "text";
  const std::string name(name_of(labelling));
  for (const std::string split : {"train", "dev"}) {
    prepare(folder / (name + "." + split + ".conllu"), tokenizer, trees, folder / split);
  }
  prepare(folder / (name + ".dev.tsv"), tokenizer, {}, folder / "flat");
}

/// Those of the labelling "syntactic", made once.
const TemporaryFolder& data() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    make_datasets(Labelling::syntactic, 600, folder.path());
    return true;
  }();
  (void)made;
  return folder;
}

TrainConfig config_of(const std::string& pattern) {
  TrainConfig config;
  config.data.train = data().path() / "train";
  config.data.dev = data().path() / "dev";
  config.model.width = 32;
  config.attention.pattern = pattern;
  config.train.batch_tokens = 512;
  config.train.steps = 6;
  config.train.evaluate_every = 3;
  return config;
}

std::string weights_of(const std::filesystem::path& run) {
  return read_file(run / "checkpoints" / "step-00000006" / "model.safetensors");
}

}  // namespace

TEST(AttentionSetup, AModelLearnsWhichWordIsNamedTwice) {
  // Animals see their namesakes, wherever these stand; under windows alone it cannot be learnt
  // (docs/language.md).
  const TemporaryFolder folder;
  make_datasets(Labelling::lexical, 2000, folder.path());
  TrainConfig config = config_of("lexical:same|global:cls");
  config.data.train = folder.path() / "train";
  config.data.dev = folder.path() / "dev";
  config.model.norm = "pre";
  config.model.init_std = 0.1;
  config.model.dropout = config.model.attention_dropout = 0;
  config.train.lr = 3e-3;
  config.train.steps = 400;
  config.train.evaluate_every = 100;
  const TrainResult result = train(config, folder.path() / "with", false);
  EXPECT_GT(result.state.best_metric, 0.95);
  EXPECT_LT(result.last.density, 0.16);
  config.attention.pattern = needed_connection(Labelling::lexical).without;
  EXPECT_EQ(train(config, folder.path() / "without", false).state.best_metric, 0.5);
}

TEST(AttentionSetup, ASolvedDensityIsWhatARunKeeps) {
  const TemporaryFolder folder;
  const TrainConfig config = config_of(
      "lexical:?|global:cls match:density=0.3 @ layers=0; "
      "syntax:?|lexical:same match:density=0.22 @ layers=1 heads=0-2");
  std::string notes;
  TrainObserver observer;
  observer.note = [&](const std::string& text) { notes += text + "\n"; };
  const auto run = folder.path() / "run";
  const TrainResult result = train(config, run, false, observer);
  EXPECT_THAT(notes, AllOf(HasSubstr("lexical:?|global:cls match:density=0.3: "),
                           HasSubstr("lexical:same match:density=0.22: ")));
  const LoadedModel best = load_model(find_model(run));
  EXPECT_EQ(best.info.pattern, result.pattern);
  EXPECT_THAT(result.pattern, Not(HasSubstr("match")));
  EXPECT_THAT(read_file(run / "config.ini"), HasSubstr("pattern = " + result.pattern + "\n"));
  ASSERT_TRUE(best.info.vectors);

  const AttentionPlan plan = best.info.plan();
  const TokenDataset split = TokenDataset::open(config.data.train);
  DensityMeter meter;
  for (int64_t i = 0; i < split.size(); ++i) {
    const Batch batch = make_batch(split, std::vector<int64_t>{i});
    meter.add(plan.build(sequence_view(batch), config.train.seed, 0));
  }
  EXPECT_NEAR(meter.layer(0), 0.3, 0.001);
  EXPECT_NEAR(meter.layer(1), (3 * 0.22 + 1) / 4, 0.001);

  // The same model on the same data has the same graphs: the same numbers.
  const Metrics again = evaluate(best, plan, TokenDataset::open(config.data.dev));
  EXPECT_EQ(again.density, result.best.density);
  EXPECT_EQ(again.loss, result.best.loss);
}

TEST(AttentionSetup, AnInterruptedRunGoesOnWithTheSameGraphs) {
  const TemporaryFolder folder;
  const TrainConfig config =
      config_of("syntax:1|lexical:? match:density=0.25 @ layers=0; random:2 @ layers=1");
  train(config, folder.path() / "whole", false);
  TrainObserver observer;
  observer.stop = [] { return true; };  // after every step
  const auto run = folder.path() / "parts";
  for (int step = 0; step < 6; ++step) {
    // By turns under the settings that were asked for and under those that the run kept.
    const bool kept = step % 2 == 1;
    train(kept ? parse_train_config({}, (run / "config.ini").string()) : config, run, step > 0,
          observer);
  }
  EXPECT_EQ(weights_of(run), weights_of(folder.path() / "whole"));
}

TEST(AttentionSetup, VectorsAreThoseBeforeTheFirstStep) {
  const TemporaryFolder folder;
  TrainConfig config = config_of("lexical:4|global:cls");
  train(config, folder.path() / "run", false);
  const LoadedModel last =
      load_model(folder.path() / "run" / "checkpoints" / "step-00000006" / "model.safetensors");
  const LoadedModel first = [&] {
    config.train.lr = 0;
    train(config, folder.path() / "still", false);
    return load_model(folder.path() / "still" / "checkpoints" / "step-00000006" /
                      "model.safetensors");
  }();
  const Tensor& vectors = last.info.vectors->table();
  const Tensor &start = first.model->encoder().token_embeddings(),
               &trained = last.model->encoder().token_embeddings();
  bool moved = false;
  for (int64_t k = 0; k < vectors.numel(); ++k) {
    ASSERT_EQ(vectors.at(k), start.at(k));
    moved |= trained.at(k) != start.at(k);
  }
  EXPECT_TRUE(moved);
  config.attention.pattern = "syntax:1|global:cls";  // which needs none
  train(config, folder.path() / "other", false);
  EXPECT_FALSE(load_model(find_model(folder.path() / "other")).info.vectors);
}

TEST(AttentionSetup, PredictsASingleSentenceWithItsTree) {
  const TemporaryFolder folder;
  const TrainConfig config = config_of("(syntax:2|lexical:same)*0.7|global:cls");
  train(config, folder.path() / "run", false);
  const LoadedModel loaded = load_model(find_model(folder.path() / "run"));
  const TokenDataset dev = TokenDataset::open(config.data.dev);
  std::vector<std::vector<double>> rows;
  evaluate(loaded, loaded.info.plan(), dev, 8192, [&](const Batch&, const Tensor& outputs) {
    for (auto& row : probabilities_of(outputs)) rows.push_back(std::move(row));
  });
  TokenizerOptions words;
  words.kind = TokenizerKind::word;
  const Tokenizer tokenizer = Tokenizer::train(words, language_vocabulary());
  ReaderOptions options;
  const auto reader = RecordReader::open(data().path() / "syntactic.dev.conllu", {"text"}, options);
  for (size_t k = 0; k < 20; ++k) {
    const std::optional<Record> record = reader->next();
    const std::vector<Syntax> syntax{syntax_of_tree(record->words)};
    const Sample sample = make_sample("test", tokenizer, record->values, 512, syntax);
    const Batch batch = make_batch(sample);
    const Tensor outputs = outputs_of(*loaded.model, loaded.info.plan(), batch, 1).values;
    const auto row = probabilities_of(outputs).front();
    for (size_t c = 0; c < row.size(); ++c) EXPECT_NEAR(row[c], rows[k][c], 1e-5);
  }
}

TEST(AttentionSetup, SaysWhatADatasetLacks) {
  const TemporaryFolder folder;
  TrainConfig config = config_of("syntax:1|global:cls");
  config.data.dev = data().path() / "flat";
  EXPECT_THAT(error_of([&] { train(config, folder.path() / "a", false); }),
              AllOf(HasSubstr("flat"), HasSubstr("syntax:1"), HasSubstr("no dependency heads"),
                    HasSubstr("CoNLL-U")));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a"));
  config.data.train = config.data.dev;
  config.attention.pattern = "syntax:? match:density=0.2";
  EXPECT_THAT(error_of([&] { train(config, folder.path() / "b", false); }),
              HasSubstr("no dependency heads"));
  // A dataset of an early version.
  const TokenDataset all = TokenDataset::open(data().path() / "dev");
  DatasetWriter writer(all.info());
  for (int64_t i = 0; i < 4; ++i) {
    std::vector<int32_t> ids(static_cast<size_t>(all.length(i)));
    all.copy_ids(i, ids.data());
    writer.add(ids, all.words(i), {}, all.heads(i), all.label(i));
  }
  writer.save(folder.path() / "early");
  config = config_of("lexical:same");
  config.data.dev = config.data.train = folder.path() / "early";
  EXPECT_THAT(error_of([&] { train(config, folder.path() / "c", false); }),
              AllOf(HasSubstr("early"), HasSubstr("no word classes"), HasSubstr("prepare")));
  config = config_of("neighbour:?|causal match:density=0.2");
  EXPECT_THAT(error_of([&] { train(config, folder.path() / "d", false); }),
              HasSubstr("has no solution on these data"));
}

}  // namespace filigree
