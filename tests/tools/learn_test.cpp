// `filigree learn` as a user meets it: what it leaves behind, interruptions, wrong words.
#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>
#include <utility>

#include "command_runner.h"
#include "core/file.h"

namespace filigree::testing {

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> learn_words(const std::string& out,
                                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"learn",
                                 "--out",
                                 out,
                                 "--data.train",
                                 local_data() / "train",
                                 "--data.dev",
                                 local_data() / "dev",
                                 "--data.tokenizer",
                                 local_data() / "tok",
                                 "--model.width",
                                 "32",
                                 "--train.steps",
                                 "40",
                                 "--train.save_every",
                                 "3",
                                 "--train.evaluate_every",
                                 "20",
                                 "--train.batch_tokens",
                                 "256",
                                 "--train.threads",
                                 "1",
                                 "--degrees.density",
                                 "0.3",
                                 "--degrees.globals",
                                 "global:cls",
                                 "--degrees.irregular",
                                 "0.25"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string said(const std::vector<std::string>& words) {
  const CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 0) << result.output;
  return result.output;
}

/// Starts learning, and ends it once a file is there.
void kill_when(const std::vector<std::string>& words, const fs::path& file) {
  const TemporaryFolder log;
  const pid_t process = start_command(words, log / "log");
  while (!fs::exists(file) && kill(process, 0) == 0) std::this_thread::yield();
  kill(process, SIGKILL);
  wait_for(process);
}

}  // namespace

TEST(LearnCommand, LeavesAModelThatEveryCommandUnderstands) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  EXPECT_THAT(said(learn_words(run)),
              AllOf(HasSubstr("soft "), HasSubstr("hardened "), HasSubstr("finetuned "),
                    HasSubstr("layer.head"), HasSubstr("|global:cls @ layers=")));
  EXPECT_THAT(said({"evaluate", "--model", run, "--data", local_data() / "dev"}),
              HasSubstr("density    "));
  EXPECT_THAT(said({"predict", "--model", run, "--text", "we put the ripe pear ."}),
              HasSubstr("label"));
  EXPECT_THAT(said({"inspect", "--model", run, "--data", local_data() / "dev"}),
              HasSubstr("spectral gap"));
  // While degrees are soft, they are what there is to see.
  EXPECT_THAT(said({"inspect", "--model", run + "/soft", "--data", local_data() / "dev", "--json",
                    folder / "soft.json"}),
              AllOf(HasSubstr("not hardened"), HasSubstr("mean reach")));
  EXPECT_THAT(read_file(folder / "soft.json"), HasSubstr("\"gate\""));
  EXPECT_THAT(said({"evaluate", "--model", run + "/soft", "--data", local_data() / "dev"}),
              HasSubstr("density    "));
  const CommandResult again = run_command(learn_words(run));
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.output, HasSubstr("go on with --resume"));
}

TEST(LearnCommand, KilledInEveryStageAndResumedGivesTheSameModel) {
  const TemporaryFolder folder;
  said(learn_words(folder / "whole"));
  const fs::path parts = folder.path() / "parts";
  bool resume = false;
  for (const char* file :
       {"soft/checkpoints/step-00000021/manifest.json",
        "irregular/checkpoints/step-00000003/manifest.json", "hard/model.safetensors",
        "finetune/checkpoints/step-00000006/manifest.json"}) {
    std::vector<std::string> words = learn_words(parts.string());
    if (std::exchange(resume, true)) words.emplace_back("--resume");
    kill_when(words, parts / file);
    EXPECT_TRUE(fs::exists(parts / file)) << file;
  }
  std::vector<std::string> words = learn_words(parts.string());
  words.emplace_back("--resume");
  said(words);
  EXPECT_TRUE(read_file(folder.path() / "whole" / "model.safetensors") ==
              read_file(parts / "model.safetensors"));
  EXPECT_TRUE(read_file(folder.path() / "whole" / "degrees.json") ==
              read_file(parts / "degrees.json"));
}

// From a dense model, whose shape and head are taken; --resume needs no word of that again.
TEST(LearnCommand, GoesOnFromADenseModelWithoutItsSettings) {
  const TemporaryFolder folder;
  said({"train", "--out", folder / "dense", "--data.train", local_data() / "train", "--data.dev",
        local_data() / "dev", "--model.width", "48", "--model.heads", "3", "--model.pool", "mean",
        "--train.steps", "4", "--train.batch_tokens", "256", "--train.threads", "1"});
  const auto words = [&](const std::string& out) {
    return std::vector<std::string>{"learn",
                                    "--out",
                                    out,
                                    "--model.init",
                                    folder / "dense",
                                    "--data.train",
                                    local_data() / "train",
                                    "--data.dev",
                                    local_data() / "dev",
                                    "--train.steps",
                                    "40",
                                    "--train.save_every",
                                    "3",
                                    "--train.batch_tokens",
                                    "256",
                                    "--train.threads",
                                    "1",
                                    "--degrees.density",
                                    "0.3",
                                    "--degrees.irregular",
                                    "0.25"};
  };
  const std::string output = said(words(folder / "whole"));
  EXPECT_THAT(output, HasSubstr("new: encoder.degrees.logits; unused: none"));
  bool resume = false;
  for (const char* file : {"soft/checkpoints/step-00000006/manifest.json",
                           "irregular/checkpoints/step-00000003/manifest.json",
                           "finetune/checkpoints/step-00000003/manifest.json"}) {
    kill_when(resume ? std::vector<std::string>{"learn", "--out", folder / "parts", "--resume"}
                     : words(folder / "parts"),
              folder.path() / "parts" / file);
    resume = true;
  }
  said({"learn", "--out", folder / "parts", "--resume"});
  EXPECT_TRUE(read_file(folder.path() / "whole" / "model.safetensors") ==
              read_file(folder.path() / "parts" / "model.safetensors"));
}

TEST(LearnCommand, WrongWordsSaySo) {
  const TemporaryFolder folder;
  const auto expect_refused = [&](const std::vector<std::string>& more, const std::string& part) {
    const CommandResult result = run_command(learn_words(folder / "run", more));
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, AllOf(HasSubstr(part), Not(HasSubstr("terminate")))) << part;
  };
  expect_refused({"--degrees.learner", "spans"}, "degrees.learner");
  expect_refused({"--degrees.objective", "lost"}, "the nearest name is \"loss\"");
  expect_refused({"--degrees.objective", "loss"}, "a limit of 0 on the loss");
  expect_refused({"--degrees.densty", "0.1"}, "did you mean \"degrees.density\"?");
  expect_refused({"--degrees.harden", "hard"}, "there is no hardener");
  expect_refused({"--attention.pattern", "causal"}, "degrees are learned under");
  const CommandResult nothing = run_command(learn_words(folder / "nowhere", {"--resume"}));
  EXPECT_EQ(nothing.status, 2);
  EXPECT_THAT(nothing.output, HasSubstr("holds no run"));
  said(learn_words(folder / "run"));  // what failed before it began is in nobody's way
}

// No room: an error that names the file, and the run goes on when there is some.
TEST(LearnCommand, AFullDiskLosesNothing) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const CommandResult full = run_command(learn_words(run), 60'000);
  EXPECT_EQ(full.status, 1) << full.output;
  EXPECT_THAT(full.output, HasSubstr("error: "));
  std::vector<std::string> words = learn_words(run);
  words.emplace_back("--resume");
  said(words);
  EXPECT_TRUE(fs::exists(fs::path(run) / "model.safetensors"));
}

}  // namespace filigree::testing
