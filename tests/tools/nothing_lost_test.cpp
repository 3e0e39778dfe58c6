// What a user has is neither written over nor mistaken for something else.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

#include "command_runner.h"
#include "core/file.h"

namespace filigree::testing {

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

CommandResult prepare(const std::string& input, const std::string& out,
                      std::vector<std::string> more = {}) {
  std::vector<std::string> words{"prepare", "--input", input, "--tokenizer", local_data() / "tok",
                                 "--out",   out};
  words.insert(words.end(), more.begin(), more.end());
  return run_command(words);
}

CommandResult train(const std::string& out, const std::string& data, const std::string& dev,
                    const std::vector<std::string>& more = {}) {
  return run_command(short_run(out, data, dev, more));
}

const std::string kText = "sentence\tlabel\na b\t0\nb a\t1\na a\t0\nb b\t1\n";

}  // namespace

TEST(NothingLost, TheInputIsNotTheOutput) {
  const TemporaryFolder folder;
  const std::string text = folder / "in.tsv", tok = folder / "tok", data = folder / "data";
  write_file(text, kText);
  EXPECT_EQ(prepare(text, text).status, 2);
  EXPECT_EQ(
      run_command({"tokenizer", "train", "--kind", "word", "--input", text, "--out", text}).status,
      2);
  EXPECT_EQ(read_file(text), kText);

  fs::copy(local_data() / "tok", tok);
  fs::create_hard_link(tok, folder / "other name");
  for (const std::string out : {"tok", "other name"}) {
    const CommandResult result =
        run_command({"prepare", "--input", text, "--tokenizer", tok, "--out", folder / out});
    EXPECT_EQ(result.status, 2);
    EXPECT_THAT(result.output, HasSubstr("is the input, which would be written over"));
  }
  EXPECT_EQ(read_file(tok), read_file(local_data() / "tok"));

  ASSERT_EQ(prepare(text, data).status, 0);
  ASSERT_EQ(train(folder / "run", data, data).status, 0);
  const std::string model = folder / "run/best/model.safetensors";
  const std::string before = read_file(model), data_before = read_file(data);
  for (const std::string& out : {model, data}) {
    EXPECT_EQ(
        run_command({"inspect", "--model", folder / "run", "--data", data, "--json", out}).status,
        2);
  }
  EXPECT_EQ(run_command({"inspect", "--model", folder / "run", "--text", "a b", "--tokenizer", tok,
                         "--json", tok})
                .status,
            2);
  EXPECT_EQ(read_file(model), before);
  EXPECT_EQ(read_file(data), data_before);
  EXPECT_EQ(read_file(tok), read_file(local_data() / "tok"));
}

TEST(NothingLost, WhereNothingCanBeWrittenIsSaidBeforeTheWork) {
  const TemporaryFolder folder;
  const std::string text = folder / "in.tsv", absent = folder / "absent/out";
  write_file(text, kText + "a bad line\n");  // which would be the error, were it read
  const auto expect_refused = [](const CommandResult& result, const std::string& reason) {
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr(reason));
  };
  expect_refused(prepare(text, absent), "cannot open for writing: No such file");
  expect_refused(prepare(text, folder.path()), "cannot write: Is a directory");
  expect_refused(run_command({"tokenizer", "train", "--kind", "word", "--input", folder / "none",
                              "--out", absent}),
                 "cannot open for writing");
  const std::string train_data = local_data() / "train";
  ASSERT_EQ(train(folder / "run", train_data, train_data).status, 0);
  const CommandResult result =
      run_command({"inspect", "--model", folder / "run", "--data", train_data, "--json", absent});
  expect_refused(result, "cannot open for writing");
  EXPECT_THAT(result.output, Not(HasSubstr("spectral gap")));
}

TEST(NothingLost, ADatasetThatChangedIsNoticed) {
  const TemporaryFolder folder;
  const std::string text = folder / "in.tsv", data = folder / "train";
  write_file(text, kText);
  ASSERT_EQ(prepare(text, data).status, 0);
  ASSERT_EQ(train(folder / "run", data, data).status, 0);
  const auto study = [&] {
    return run_command({"ablate", "--out", folder / "study", "--pattern", "neighbour:1",
                        "--data.train", data, "--data.dev", data, "--model.width", "32",
                        "--train.steps", "2", "--train.threads", "1"});
  };
  ASSERT_EQ(study().status, 0);
  EXPECT_THAT(study().output, HasSubstr("1 done before"));
  write_file(text, kText + "a b a\t0\n");
  ASSERT_EQ(prepare(text, data).status, 0);
  EXPECT_THAT(study().output, HasSubstr("0 done before"));
  const CommandResult resumed = run_command({"train", "--out", folder / "run", "--resume"});
  EXPECT_EQ(resumed.status, 2);
  EXPECT_THAT(resumed.output, HasSubstr("other settings"));
}

TEST(NothingLost, ARunGoesOnFromAnyFolderAndWithoutAFinishedCheckpoint) {
  const TemporaryFolder folder;
  const std::string text = folder / "in.tsv";
  write_file(text, kText);
  ASSERT_EQ(prepare(text, folder / "train").status, 0);
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  ASSERT_EQ(train("run", "train", "train").status, 0);
  fs::current_path(before);
  fs::remove_all(folder.path() / "run/checkpoints");
  fs::create_directories(folder.path() / "run/checkpoints/step-00000002");
  const CommandResult resumed = run_command({"train", "--out", folder / "run", "--resume"});
  EXPECT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, AllOf(HasSubstr("the manifest is missing"),
                                    HasSubstr("no checkpoint yet: starting at step 0")));
}

TEST(NothingLost, OneProcessTrainsInAFolder) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "run");
  const int lock = ::open((folder / "run/lock").c_str(), O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  const std::string train_data = local_data() / "train", dev = local_data() / "dev";
  const CommandResult refused = train(folder / "run", train_data, dev);
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("another process trains in this folder"));
  ::close(lock);
  EXPECT_EQ(train(folder / "run", train_data, dev).status, 0);
}

TEST(NothingLost, ABadLineLeavesNoLabelAndTakesNoOtherWithIt) {
  const TemporaryFolder folder;
  const std::string text = folder / "in.tsv";
  write_file(text, "sentence\tlabel\na b\tx\n \tghost\nb a\ty\n");
  CommandResult result = prepare(text, folder / "out", {"--skip-bad-lines", "1"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, Not(HasSubstr("ghost: ")));
  write_file(text, "sentence\tlabel\na b\tx\n\"b\ty\nb a\ty\na a\tx\n");
  result = prepare(text, folder / "out", {"--skip-bad-lines", "1", "--quoting", "standard"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("3 samples"));
  write_file(text, "sentence\tsentence\tlabel\na\tb\tx\n");
  EXPECT_THAT(prepare(text, folder / "out").output, HasSubstr("two columns are called"));
  EXPECT_EQ(prepare(text, folder / "out", {"--labels", "x,y,x"}).status, 2);
}

TEST(NothingLost, PairsAndSingleTextsAreNotMixed) {
  const TemporaryFolder folder;
  const std::string text = folder / "in.tsv";
  write_file(text, "sentence\tother\tlabel\na b\tb\t0\nb a\ta\t1\n");
  ASSERT_EQ(prepare(text, folder / "singles").status, 0);
  ASSERT_EQ(prepare(text, folder / "pairs", {"--pair", "other"}).status, 0);
  EXPECT_NE(train(folder / "run", folder / "singles", folder / "pairs").status, 0);
  ASSERT_EQ(train(folder / "run", folder / "singles", folder / "singles").status, 0);
  const CommandResult result =
      run_command({"evaluate", "--model", folder / "run", "--data", folder / "pairs"});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("the model takes single texts"));
}

TEST(NothingLost, AStudyCountsNoRunTwiceAndIgnoresNoSetting) {
  const TemporaryFolder folder;
  const auto study = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"ablate",
                                   "--out",
                                   folder / "study",
                                   "--data.train",
                                   local_data() / "train",
                                   "--data.dev",
                                   local_data() / "dev"};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  };
  EXPECT_THAT(study({"--pattern", "dense", "--seeds", "1,2,1"}).output,
              HasSubstr("seed \"1\" is named twice"));
  EXPECT_THAT(study({"--pattern", "dense", "--train.seed", "4"}).output,
              HasSubstr("--train.seed is what the axis seeds sets"));
}

TEST(NothingLost, PredictFindsTheTokenizerAndGoesOnBehindABadLine) {
  const TemporaryFolder folder;
  const std::string tok = local_data() / "tok";
  ASSERT_EQ(
      train(folder / "run", local_data() / "train", local_data() / "dev", {"--data.tokenizer", tok})
          .status,
      0);
  for (const char* model : {"run", "run/best/model.safetensors", "run/checkpoints/step-00000004"}) {
    const CommandResult result =
        run_command({"predict", "--model", folder / model, "--text", "a b"});
    EXPECT_EQ(result.status, 0) << result.output;
  }
  const CommandResult result =
      run_command_on("a b\n\na \xff\nthe mill\n", {"predict", "--model", folder / "run"});
  EXPECT_EQ(result.status, 1);
  std::istringstream lines(result.output);
  std::string line;
  for (int64_t number = 1; number <= 4; ++number) {
    ASSERT_TRUE(std::getline(lines, line));
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json.at("line"), number);
    EXPECT_EQ(json.contains("error"), number == 2 || number == 3) << line;
    EXPECT_EQ(json.contains("probabilities"), number == 1 || number == 4) << line;
  }
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(line, "2 of 4 lines could not be read");
}

TEST(NothingLost, EveryLineHasANumberOfItsOwnUnderRandomEdges) {
  const TemporaryFolder folder;
  const std::string tok = local_data() / "tok", text = folder / "in.tsv";
  ASSERT_EQ(run_command(short_run(folder / "run", {"--data.tokenizer", tok, "--attention.pattern",
                                                   "random:2,per=example"}))
                .status,
            0);
  const std::string same = "the farmer sings near the old mill .";
  CommandResult result =
      run_command_on(same + "\n\n" + same + "\n", {"predict", "--model", folder / "run"});
  std::istringstream lines(result.output);
  std::string first, bad, second;
  ASSERT_TRUE(std::getline(lines, first) && std::getline(lines, bad) &&
              std::getline(lines, second));
  EXPECT_NE(nlohmann::json::parse(first).at("probabilities"),
            nlohmann::json::parse(second).at("probabilities"));
  // The bad line has no number: what stands behind it is as without it.
  result = run_command_on(same + "\n" + same + "\n", {"predict", "--model", folder / "run"});
  std::istringstream again(result.output);
  std::string other;
  ASSERT_TRUE(std::getline(again, other) && std::getline(again, other));
  EXPECT_EQ(nlohmann::json::parse(other).at("probabilities"),
            nlohmann::json::parse(second).at("probabilities"));
}

}  // namespace filigree::testing
