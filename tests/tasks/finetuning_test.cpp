// Training for every task, and from a checkpoint: what is loaded, frozen, drawn, and resumed.
#include "nn/finetuning.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/safetensors.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/model_setup.h"
#include "tasks/training/trainer.h"
#include "tests/error_text.h"
#include "tests/nn/small_model.h"
#include "tests/tasks/task_data.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using testing::conllu_word;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::options_for;
using testing::prepare_content;
using testing::TemporaryFolder;
using testing::word_tokenizer;
using testing_nn::same_bits;

/// Datasets of all three tasks over the same words, made once: "scores" (how many of the letters
/// are a), "pairs" (do both texts begin alike), "tags" (vowels and others), sentences of 2 to 7.
const TemporaryFolder& data() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    std::string scores = "sentence\tscore\n", pairs = "sentence\tother\tlabel\n", tags;
    for (int i = 0; i < 120; ++i) {
      std::string text, other, tree;
      int count = 0;
      const int length = 2 + i % 6;
      for (int k = 0; k < length; ++k) {
        const char letter = static_cast<char>('a' + (i * 7 + k * k * 3 + i * k) % 8);
        text += std::string(k > 0 ? " " : "") + letter;
        tree += conllu_word(k + 1, {letter}, letter == 'a' || letter == 'e' ? "VOWEL" : "OTHER");
        count += letter == 'a';
      }
      other = i % 2 == 0 ? text.substr(0, 1) + " b" : std::string(1, text[0] == 'h' ? 'a' : 'h');
      scores += text + "\t" + std::to_string(count) + "\n";
      pairs += text + "\t" + other + "\t" + (i % 2 == 0 ? "same" : "other") + "\n";
      tags += tree + "\n";
    }
    const auto make = [&](const std::string& name, const std::string& content,
                          const PrepareOptions& options) {
      prepare_content(folder, name, content, options);
      std::filesystem::rename(folder / "out", folder / name.substr(0, name.find('.')));
    };
    make("scores.tsv", scores, options_for("regression", "score"));
    PrepareOptions pair = options_for("classification", "label");
    pair.pair = "other";
    make("pairs.tsv", pairs, pair);
    PrepareOptions tag = options_for("tagging", "upos");
    tag.text = "text";
    make("tags.conllu", tags, tag);
    return true;
  }();
  (void)made;
  return folder;
}

TrainConfig config_of(const std::string& name) {
  TrainConfig config;
  config.data.train = config.data.dev = data() / name;
  config.model.width = 16;
  config.model.heads = 2;
  config.train.batch_tokens = 64;
  config.train.steps = 8;
  config.train.lr = 2e-3;
  return config;
}

StateDict last_weights(const std::filesystem::path& run, int64_t step = 8) {
  const std::string name = "step-0000000" + std::to_string(step);
  return testing_nn::copy_of(
      load_model(run / "checkpoints" / name / "model.safetensors").model->state_dict());
}

TokenDataset opened(const std::string& name) { return TokenDataset::open(data() / name); }

}  // namespace

TEST(TaskTraining, EveryTaskLearns) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, double>> bars = {
      {"scores", 0.9}, {"pairs", 0.9}, {"tags", 0.99}};
  for (const auto& [name, bar] : bars) {
    TrainConfig config = config_of(name);
    config.model.norm = "pre";
    config.model.init_std = 0.1;
    config.model.dropout = config.model.attention_dropout = 0;
    config.train.lr = 1e-2;
    config.train.steps = 0;
    config.train.epochs = 15;
    const TrainResult result = train(config, folder.path() / name, false);
    EXPECT_GT(result.state.best_metric, bar) << name;
    const LoadedModel best = load_model(find_model(folder.path() / name));
    const Metrics again = evaluate(best, best.info.plan(), opened(name));
    EXPECT_EQ(again.get(result.metric), result.state.best_metric) << name;
    EXPECT_EQ(best.info.pairs, name == "pairs");
    // metrics.jsonl has the task's metrics under their names.
    std::istringstream log(read_file(folder.path() / name / "metrics.jsonl"));
    std::string line;
    std::getline(log, line);
    const auto first = nlohmann::json::parse(line);
    EXPECT_EQ(first.at("kind"), "evaluate");
    for (const MetricKind& kind : best.task->metrics()) EXPECT_TRUE(first.contains(kind.name));
  }
}

TEST(TaskTraining, NBatchesAStepEqualOneWhateverTheUnits) {
  // Three samples of 2, 3 and 4 words, so that a mean a batch would weigh words unequally.
  for (const char* name : {"tags", "scores"}) {
    const TemporaryFolder folder;
    const TokenDataset all = opened(name);
    DatasetWriter few(all.info());
    for (int64_t i = 0; i < 3; ++i) {
      std::vector<int32_t> ids(static_cast<size_t>(all.length(i)));
      all.copy_ids(i, ids.data());
      Target target;
      if (all.has_scores()) target.score = all.score(i);
      target.token_labels.assign(all.token_labels(i).begin(), all.token_labels(i).end());
      few.add(ids, all.words(i), {}, {}, target);
    }
    few.save(folder / "few");
    TrainConfig config = config_of(name);
    config.data.train = folder / "few";
    config.model.precision = "f64";
    config.model.dropout = config.model.attention_dropout = 0;
    config.train.optimizer = "sgd";
    config.train.lr = 0.05;
    StateDict states[2];
    for (const bool divided : {false, true}) {
      config.train.max_sequences = divided ? 1 : 0;
      config.train.accumulate = divided ? 3 : 1;
      const auto run = folder.path() / (divided ? "divided" : "whole");
      train(config, run, false);
      states[divided] = last_weights(run);
    }
    for (const auto& [path, tensor] : states[0]) {
      for (int64_t i = 0; i < tensor.numel(); ++i) {
        EXPECT_NEAR(tensor.at(i), states[1].at(path).at(i), 1e-12) << name << " " << path;
      }
    }
  }
}

TEST(FromACheckpoint, TheEncoderIsLoadedAndTheHeadIsNew) {
  const TemporaryFolder folder;
  TrainConfig first = config_of("tags");
  first.model.layers = 3;
  first.model.norm = "pre";
  first.model.relative_bias = 2;
  train(first, folder.path() / "first", false);
  const StateDict from =
      testing_nn::copy_of(load_model(find_model(folder.path() / "first")).model->state_dict());

  TrainConfig config = config_of("pairs");
  config.model.init = folder / "first";
  config.model.dropout = 0.3;
  const TokenDataset pairs = opened("pairs");
  const ModelSetup setup = set_up_model(config, pairs, pairs);
  EXPECT_EQ(setup.config.model.layers, 3);
  EXPECT_EQ(setup.config.model.norm, "pre");
  EXPECT_EQ(setup.info.encoder.relative_bias, 2);
  EXPECT_EQ(setup.info.encoder.dropout, 0.3);
  EXPECT_EQ(setup.info.encoder.segments, 2);
  for (const auto& [name, tensor] : setup.model->state_dict()) {
    const bool is_new = !is_encoder_parameter(name) || name.find("segment") != std::string::npos;
    ASSERT_EQ(from.contains(name) && same_bits(tensor, from.at(name)), !is_new) << name;
  }
  ASSERT_EQ(setup.notes.size(), 1u);
  EXPECT_THAT(setup.notes[0],
              AllOf(HasSubstr("43 parameters loaded"),
                    HasSubstr("new: encoder.embeddings.segment.weight, pooler.weight, "
                              "pooler.bias, classifier.weight, classifier.bias"),
                    HasSubstr("unused: classifier.bias, classifier.weight")));
  EXPECT_EQ(setup.config.hash(pairs, pairs),
            set_up_model(setup.config, pairs, pairs).config.hash(pairs, pairs));
}

TEST(FromACheckpoint, PretrainingGoesOnWithItsHead) {
  const TemporaryFolder folder;
  TrainConfig config = config_of("tags");
  config.train.task = "masked_lm";
  train(config, folder.path() / "first", false);
  const StateDict from =
      testing_nn::copy_of(load_model(find_model(folder.path() / "first")).model->state_dict());
  config.model.init = folder / "first";
  config.model.head_seed = 9;
  const TokenDataset tags = opened("tags");
  const ModelSetup setup = set_up_model(config, tags, tags);
  EXPECT_TRUE(from.contains("masked_lm.bias"));
  for (const auto& [name, tensor] : setup.model->state_dict()) {
    ASSERT_TRUE(from.contains(name) && same_bits(tensor, from.at(name))) << name;
  }
}

TEST(FromACheckpoint, SettingsThatContradictItAreRefused) {
  const TemporaryFolder folder;
  train(config_of("tags"), folder.path() / "first", false);
  const std::string init = folder / "first";
  const TokenDataset tags = opened("tags");
  const auto with = [&](const std::string& setting, const std::string& value) {
    const std::vector<std::string> words{
        "--data.train", data() / "tags", "--data.dev", data() / "tags", "--model.init",
        init,           "--" + setting,  value};
    return error_of([&] { set_up_model(parse_train_config(words, ""), tags, tags); });
  };
  EXPECT_THAT(with("model.layers", "3"),
              AllOf(HasSubstr("[model.layers] expected 2"), HasSubstr("leave the setting out")));
  EXPECT_THAT(with("model.norm", "pre"), HasSubstr("[model.norm] expected post"));
  EXPECT_EQ(with("model.layers", "2"), "no error");
  EXPECT_EQ(with("model.ffn", "0"), "no error");
  EXPECT_THAT(with("train.freeze", "first:3"), HasSubstr("at most 2 layers"));
  TrainConfig config = config_of("tags");
  config.model.init = folder / "nothing";
  EXPECT_NE(error_of([&] { set_up_model(config, tags, tags); }), "no error");
  // Data of another tokenizer.
  TokenizerOptions options;
  options.kind = TokenizerKind::word;
  const Tokenizer other = Tokenizer::train(options, std::vector<std::string>{"x y z"});
  PrepareOptions tagging = options_for("tagging", "upos");
  tagging.text = "text";
  prepare(data() / "tags.conllu", other, tagging, folder / "other");
  config.model.init = init;
  const TokenDataset foreign = TokenDataset::open(folder / "other");
  EXPECT_THAT(error_of([&] { set_up_model(config, foreign, foreign); }),
              HasSubstr("tokenizer of the checkpoint"));
}

TEST(FromACheckpoint, FrozenParametersKeepTheirBitsAndTheOthersMove) {
  const TemporaryFolder folder;
  train(config_of("tags"), folder.path() / "first", false);
  for (const std::string what : {"embeddings", "first:1", "encoder"}) {
    TrainConfig config = config_of("pairs");
    config.model.init = folder / "first";
    config.train.freeze = what;
    const TokenDataset pairs = opened("pairs");
    const ModelSetup start = set_up_model(config, pairs, pairs);
    train(config, folder.path() / what, false);
    const Freeze frozen = Freeze::parse(what);
    for (const auto& [name, tensor] : last_weights(folder.path() / what)) {
      // The checkpoint has no segments: their table is new, and must learn.
      const bool is_new = name.find("segment") != std::string::npos;
      EXPECT_EQ(same_bits(tensor, start.model->state_dict().at(name)),
                frozen.holds(name) && !is_new)
          << what << ": " << name;
    }
  }
}

TEST(FromACheckpoint, AResumedRunHasTheSameBits) {
  const TemporaryFolder folder;
  train(config_of("tags"), folder.path() / "first", false);
  TrainConfig config = config_of("pairs");
  config.model.init = folder / "first";
  config.train.freeze = "embeddings";
  config.train.layer_decay = 0.8;
  config.model.head_seed = 5;
  config.train.order_seed = 9;
  train(config, folder.path() / "whole", false);
  TrainObserver observer;
  std::vector<std::string> notes;
  observer.stop = [] { return true; };  // after every step
  observer.note = [&](const std::string& text) { notes.push_back(text); };
  const auto run = folder.path() / "parts";
  for (int step = 0; step < 8; ++step) {
    // By turns under the settings that were asked for and under those that the run kept.
    const bool kept = step % 2 == 1;
    train(kept ? parse_train_config({}, (run / "config.ini").string()) : config, run, step > 0,
          observer);
  }
  const StateDict whole = last_weights(folder.path() / "whole"), parts = last_weights(run);
  testing_nn::expect_same_bits(whole, parts);
  EXPECT_EQ(std::count_if(notes.begin(), notes.end(),
                          [](const auto& note) { return note.starts_with("model.init"); }),
            1);
  // Another checkpoint in its place is another run.
  TrainConfig changed = config_of("tags");
  changed.train.seed = 2;
  train(changed, folder.path() / "second", false);
  config.model.init = folder / "second";
  EXPECT_THAT(error_of([&] { train(config, run, true); }), HasSubstr("other settings"));
}

TEST(Seeds, OfHeadAndOrderAreApart) {
  const TokenDataset tags = opened("tags");
  TrainConfig config = config_of("tags");
  const auto start = [&](const TrainConfig& c) {
    return testing_nn::copy_of(set_up_model(c, tags, tags).model->state_dict());
  };
  const StateDict one = start(config);
  config.model.head_seed = 1;  // as train.seed
  testing_nn::expect_same_bits(one, start(config));
  config.train.seed = 2;
  const StateDict other = start(config);
  EXPECT_TRUE(same_bits(one.at("classifier.weight"), other.at("classifier.weight")));
  const std::string embeddings = "encoder.embeddings.token.weight";
  EXPECT_FALSE(same_bits(one.at(embeddings), other.at(embeddings)));

  // The order alone: the same start, another end; and another seed, but the same order.
  const TemporaryFolder folder;
  TrainConfig base = config_of("tags");
  base.model.dropout = base.model.attention_dropout = 0;
  const auto trained = [&](int64_t order, const std::string& name) {
    base.train.order_seed = order;
    train(base, folder.path() / name, false);
    return last_weights(folder.path() / name);
  };
  const StateDict same = trained(1, "same"), standard = trained(-1, "standard"),
                  shuffled = trained(7, "shuffled");
  testing_nn::expect_same_bits(same, standard);
  EXPECT_FALSE(same_bits(same.at(embeddings), shuffled.at(embeddings)));
}

TEST(Rates, ADecayedLayerMovesByItsShareInTheFirstStep) {
  // One step of SGD without momentum: the change is rate * gradient, and the gradient is the same.
  const TemporaryFolder folder;
  TrainConfig config = config_of("tags");
  config.model.precision = "f64";
  config.train.optimizer = "sgd";
  config.train.momentum = config.train.weight_decay = 0;
  config.train.schedule = "constant";
  config.train.warmup = config.train.clip = 0;
  config.train.steps = 1;
  config.train.lr = 0.1;
  const TokenDataset tags = opened("tags");
  const StateDict start = testing_nn::copy_of(set_up_model(config, tags, tags).model->state_dict());
  StateDict ends[2];
  for (const bool decayed : {false, true}) {
    config.train.layer_decay = decayed ? 0.5 : 1;
    const auto run = folder.path() / (decayed ? "decayed" : "even");
    train(config, run, false);
    ends[decayed] = last_weights(run, 1);
  }
  for (const auto& [name, before] : start) {
    const double share = layer_rate(name, 2, 0.5);
    for (int64_t i = 0; i < before.numel(); ++i) {
      EXPECT_NEAR(ends[1].at(name).at(i) - before.at(i),
                  share * (ends[0].at(name).at(i) - before.at(i)), 1e-14)
          << name;
    }
  }
}

TEST(ModelFiles, OfEarlyVersionsAreClassifiers) {
  const TemporaryFolder folder;
  train(config_of("pairs"), folder.path() / "run", false);
  const auto path = find_model(folder.path() / "run");
  const SafetensorsFile file(path);
  auto json = nlohmann::json::parse(file.metadata().at("model"));
  json.erase("task");
  json.erase("pairs");
  SafetensorsWriter writer;
  writer.metadata("format", file.metadata().at("format"));
  writer.metadata("model", json.dump());
  for (const auto& [name, tensor] : read_model_tensors(path).weights) writer.add(name, tensor);
  writer.save(folder / "early");
  const LoadedModel early = load_model(folder / "early");
  EXPECT_EQ(early.info.task, "classification");
  EXPECT_TRUE(early.info.pairs);
  const LoadedModel now = load_model(path);
  EXPECT_EQ(evaluate(early, early.info.plan(), opened("pairs")).loss,
            evaluate(now, now.info.plan(), opened("pairs")).loss);
}

}  // namespace filigree
