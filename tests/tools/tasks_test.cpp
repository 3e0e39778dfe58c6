// Tasks through the command: prepare, train, evaluate, predict, ablate, from a checkpoint.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "command_runner.h"
#include "core/file.h"

namespace filigree::testing {

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Runs a command that must succeed, and gives what it said.
std::string run_well(const std::vector<std::string>& words) {
  const CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 0) << result.output;
  return result.output;
}

std::vector<std::string> short_training(const std::string& out, const std::string& train,
                                        const std::string& dev,
                                        const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"train",
                                 "--out",
                                 out,
                                 "--data.train",
                                 train,
                                 "--data.dev",
                                 dev,
                                 "--data.tokenizer",
                                 local_data() / "tok",
                                 "--train.steps",
                                 "4",
                                 "--train.batch_tokens",
                                 "256",
                                 "--train.threads",
                                 "1"};
  words.insert(words.end(), more.begin(), more.end());
  if (std::find(more.begin(), more.end(), "--model.init") == more.end()) {
    words.insert(words.end(), {"--model.width", "16"});
  }
  return words;
}

/// The last line that begins with {.
nlohmann::json json_in(const std::string& output) {
  return nlohmann::json::parse(output.substr(output.rfind("\n{") + 1));
}

}  // namespace

TEST(TaskCommands, Regression) {
  const TemporaryFolder folder;
  std::string pairs = "one\ttwo\tscore\n";
  for (int i = 0; i < 40; ++i) {
    pairs += "the mill\tthe " + std::string(i % 2 == 0 ? "mill" : "inn") + "\t" +
             std::to_string(1 + i % 5) + ".5\n";
  }
  write_file(folder / "in.tsv", pairs);
  std::vector<std::string> words{"prepare",
                                 "--input",
                                 folder / "in.tsv",
                                 "--task",
                                 "regression",
                                 "--text",
                                 "one",
                                 "--pair",
                                 "two",
                                 "--label",
                                 "score",
                                 "--tokenizer",
                                 local_data() / "tok",
                                 "--out",
                                 folder / "data"};
  EXPECT_THAT(run_well(words), HasSubstr("score from 1.5 to 5.5, mean 3.5000"));
  const std::string trained =
      run_well(short_training(folder / "run", folder / "data", folder / "data"));
  EXPECT_THAT(trained, AllOf(HasSubstr("regression: 40 samples"), HasSubstr("pearson "),
                             HasSubstr("spearman ")));
  EXPECT_THAT(read_file(fs::path(folder / "run") / "config.ini"),
              AllOf(HasSubstr("task = regression\n"), HasSubstr("metric = pearson\n")));
  const auto metrics = json_in("\n" + run_well({"evaluate", "--model", folder / "run", "--data",
                                                folder / "data", "--json"}));
  EXPECT_TRUE(metrics.contains("pearson") && metrics.contains("spearman"));
  EXPECT_FALSE(metrics.contains("accuracy"));
  const auto answer = json_in(
      "\n" + run_well({"predict", "--model", folder / "run", "--text", "the mill\tthe inn"}));
  EXPECT_NEAR(answer.at("score").get<double>(), 3.5, 2);  // starts at the mean
  EXPECT_EQ(answer.at("line"), 1);
  CommandResult wrong = run_command(short_training(folder / "w", folder / "data", folder / "data",
                                                   {"--train.metric", "accuracy"}));
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.output, HasSubstr("expected one of pearson, spearman, loss"));
  wrong = run_command(
      short_training(folder / "w", folder / "data", folder / "data", {"--train.task", "tagging"}));
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.output, HasSubstr("no labels of words"));
  EXPECT_FALSE(fs::exists(folder / "w"));
}

TEST(TaskCommands, TaggingAndAStudyOfIt) {
  const TemporaryFolder folder;
  for (const std::string split : {"train", "dev"}) {
    EXPECT_THAT(run_well({"prepare", "--input", local_data() / ("local." + split + ".conllu"),
                          "--text", "text", "--task", "tagging", "--label", "deprel", "--tokenizer",
                          local_data() / "tok", "--out", folder / split}),
                AllOf(HasSubstr(" words\n"), HasSubstr("0 cut off")));
  }
  run_well(short_training(folder / "run", folder / "train", folder / "dev"));
  const auto answer =
      json_in("\n" + run_well({"predict", "--model", folder / "run", "--text", "the old mill"}));
  ASSERT_EQ(answer.at("words").size(), 3u);
  EXPECT_EQ(answer["words"][2]["word"], "mill");
  EXPECT_TRUE(answer["words"][2]["tag"].is_string());
  EXPECT_THAT(run_well({"evaluate", "--model", folder / "run", "--data", folder / "dev"}),
              AllOf(HasSubstr("accuracy_all "), HasSubstr("units ")));
  EXPECT_THAT(run_well({"inspect", "--model", folder / "run", "--data", folder / "dev"}),
              HasSubstr("entropy"));
  // A classifier of sentences is evaluated on no tags.
  run_well(short_training(folder / "sentences", local_data() / "train", local_data() / "dev"));
  EXPECT_THAT(
      run_command({"evaluate", "--model", folder / "sentences", "--data", folder / "dev"}).output,
      HasSubstr("the dataset has no labels"));
  std::vector<std::string> study = short_training(
      folder / "study", folder / "train", folder / "dev", {"--seeds", "1,2", "--pattern", "dense"});
  study[0] = "ablate";
  EXPECT_THAT(run_well(study), HasSubstr("accuracy"));
  EXPECT_THAT(read_file(fs::path(folder / "study") / "table.csv"),
              HasSubstr("dense,all,accuracy,2,2,1,"));
}

TEST(TaskCommands, FromACheckpoint) {
  const TemporaryFolder folder;
  const std::string train = local_data() / "train", dev = local_data() / "dev";
  run_well(short_training(folder / "first", train, dev));
  const std::string output =
      run_well(short_training(folder / "second", train, dev,
                              {"--model.init", folder / "first", "--train.freeze", "first:1",
                               "--train.layer_decay", "0.9", "--model.head_seed", "3"}));
  EXPECT_THAT(output, AllOf(HasSubstr("parameters loaded; new: classifier.weight, "
                                      "classifier.bias; unused: classifier.bias"),
                            HasSubstr("of them frozen"), HasSubstr("\nwidth = 16\n")));
  const CommandResult wrong = run_command(short_training(
      folder / "third", train, dev, {"--model.init", folder / "first", "--model.layers", "4"}));
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.output, HasSubstr("[model.layers] expected 2"));
}

TEST(TaskCommands, PretrainingThenFinetuning) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "text");
  for (int file = 0; file < 3; ++file) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += i % 7 == 6 ? "\n" : "the old mill the inn the old inn\n";
    write_file(folder / ("text/" + std::to_string(file) + ".txt"), text);
  }
  const std::vector<std::string> prepare{"prepare",
                                         "--task",
                                         "masked_lm",
                                         "--input",
                                         folder / "text",
                                         "--tokenizer",
                                         local_data() / "tok",
                                         "--max-length",
                                         "32",
                                         "--out",
                                         folder / "data"};
  EXPECT_THAT(run_well(prepare), AllOf(HasSubstr("3 documents of 3 files"), HasSubstr("book")));
  EXPECT_THAT(run_well(short_training(folder / "run", folder / "data", folder / "data",
                                      {"--train.mask_words", "1"})),
              AllOf(HasSubstr("masked_lm: "), HasSubstr("perplexity ")));
  const auto metrics = json_in("\n" + run_well({"evaluate", "--model", folder / "run", "--data",
                                                folder / "data", "--json"}));
  EXPECT_GT(metrics.at("perplexity").get<double>(), 1);
  EXPECT_TRUE(metrics.contains("masked_accuracy"));
  EXPECT_THAT(
      run_well(short_training(folder / "finetuned", local_data() / "train", local_data() / "dev",
                              {"--model.init", folder / "run"})),
      AllOf(HasSubstr("new: "), HasSubstr("unused: masked_lm.bias"), HasSubstr("accuracy ")));
  // And on the records of another task, without targets of its own.
  run_well(short_training(folder / "records", local_data() / "train", local_data() / "dev",
                          {"--train.task", "masked_lm"}));

  const auto wrong = [&](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 2) << result.output;
    return result.output;
  };
  EXPECT_THAT(wrong(prepare, {"--label", "x"}), HasSubstr("[label] records have such a thing"));
  EXPECT_THAT(wrong(prepare, {"--pack", "ful"}), HasSubstr("did you mean \"full\"?"));
  EXPECT_THAT(wrong({"predict", "--model", folder / "run", "--text", "the mill"}, {}),
              HasSubstr("no answer to a whole text"));
  EXPECT_THAT(wrong(short_training(folder / "x", local_data() / "train", local_data() / "dev"),
                    {"--train.mask_share", "0.3"}),
              HasSubstr("classification hides no tokens"));
}

}  // namespace filigree::testing
