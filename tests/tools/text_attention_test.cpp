// The commands under attention that follows trees and words.
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "command_runner.h"
#include "core/file.h"

namespace filigree::testing {

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

/// A short run on local_data(), which has trees.
std::vector<std::string> run_of(const std::string& out, const std::string& pattern) {
  return short_run(out, {"--data.tokenizer", local_data() / "tok", "--attention.pattern", pattern});
}

}  // namespace

TEST(TextAttention, TrainEvaluatePredictAndResume) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  CommandResult result = run_command(run_of(
      run, "syntax:?|global:cls match:density=0.4 @ layers=0; lexical:2|lexical:same @ layers=1"));
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("syntax:?|global:cls match:density=0.4: "));
  EXPECT_THAT(read_file(fs::path(run) / "config.ini"), Not(HasSubstr("match")));
  result = run_command({"train", "--out", run, "--resume"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("resumed after step 4 of 4"));
  result = run_command({"evaluate", "--model", run, "--data", local_data() / "dev"});
  EXPECT_EQ(result.status, 0) << result.output;
  result = run_command({"evaluate", "--model", run, "--data", local_data() / "dev", "--pattern",
                        "lexical:?|random:1 match:density=0.5"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("density    50.0"));
  result = run_command({"predict", "--model", run, "--trees", local_data() / "local.dev.conllu"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("\"probabilities\""));

  result = run_command({"predict", "--model", run, "--text", "the mill"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("no dependency heads"));
  ASSERT_EQ(run_command({"prepare", "--input", local_data() / "local.dev.tsv", "--tokenizer",
                         local_data() / "tok", "--out", folder / "flat"})
                .status,
            0);
  result = run_command({"evaluate", "--model", run, "--data", folder / "flat"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("flat] [pattern syntax:1"));
  EXPECT_THAT(result.output, HasSubstr("no dependency heads"));
}

TEST(TextAttention, InspectLooksUnderAnyPattern) {
  const TemporaryFolder folder;
  const std::string run = folder / "run", json = folder / "report.json";
  ASSERT_EQ(run_command(run_of(run, "neighbour:2|global:cls")).status, 0);
  CommandResult result = run_command(
      {"inspect", "--model", run, "--data", local_data() / "dev", "--samples", "8", "--candidates",
       "lexical:2; syntax:? match:density=0.5; dense", "--json", json, "--weights"});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("dense would keep 100.00% of the attention"));
  const auto report = nlohmann::json::parse(read_file(json));
  for (const auto& layer : report["statistics"]) {
    for (const auto& head : layer) {
      EXPECT_EQ(head["kept"].size(), 3);
      for (const auto& kept : head["kept"]) {
        EXPECT_GT(kept, 0.0);
        EXPECT_LE(kept, 1.0 + 1e-9);
      }
    }
  }
  // A row of weights is a distribution over its keys.
  for (const auto& row : report["weights"]) {
    ASSERT_EQ(row[3].size(), row[4].size());
    double sum = 0;
    for (const auto& weight : row[4]) sum += weight.get<double>();
    EXPECT_NEAR(sum, 1, 1e-5);
  }

  result = run_command({"inspect", "--model", run, "--data", local_data() / "dev", "--pattern",
                        "lexical:1|syntax:1"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("attention lexical:1|syntax:1"));
  result =
      run_command({"inspect", "--model", run, "--text", "the mill", "--candidates", "syntax:1"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("no dependency heads"));
}

TEST(TextAttention, ExplainNamesTheKernelOfEveryLayer) {
  const TemporaryFolder folder;
  std::vector<std::string> words =
      run_of(folder / "run", "dense @ layers=0; neighbour:1|global:cls @ layers=1");
  words.insert(words.end(), {"--explain", "--quiet"});
  CommandResult result = run_command(words);
  ASSERT_EQ(result.status, 0) << result.output;
  for (const char* part : {"layer", "density", "tiles"}) {
    EXPECT_THAT(result.output, HasSubstr(part));
  }
  result = run_command(short_run(
      folder / "drawn", {"--explain", "--degrees.learner", "degrees", "--degrees.draws", "true"}));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("every token draws its reach, up to "));
  words[2] = folder / "silent";
  std::erase(words, "--explain");
  EXPECT_THAT(run_command(words).output, Not(HasSubstr("tiles")));
}

TEST(TextAttention, RawTextIsParsedAndSyntaxTrainsOnIt) {
  if (run_command({"info"}).output.find("parser     none") != std::string::npos) {
    GTEST_SKIP() << "this build has no link-grammar";
  }
  const TemporaryFolder folder;
  write_file(folder / "in.tsv",
             "sentence\tlabel\nThe old mill is near the inn.\tfit\nno columns\n"
             "A farmer sings. He sings well.\tmisfit\n");
  const std::vector<std::string> words{"prepare",
                                       "--input",
                                       folder / "in.tsv",
                                       "--tokenizer",
                                       local_data() / "tok",
                                       "--out",
                                       folder / "d",
                                       "--parse",
                                       "--parse-threads",
                                       "1",
                                       "--parse-seconds",
                                       "60",
                                       "--skip-bad-lines",
                                       "1"};
  CommandResult result = run_command(words);
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("skipped: [" + (folder / "in.tsv") + ":3] expected 2"));
  EXPECT_THAT(result.output, HasSubstr("3 sentences, 100.0% parsed"));
  EXPECT_THAT(result.output, HasSubstr("parsed 3/3 sentences"));
  EXPECT_THAT(result.output, Not(HasSubstr("1666666h")));
  EXPECT_TRUE(fs::exists(folder / "parse-cache"));
  const std::string bytes = read_file(folder / "d");
  EXPECT_EQ(run_command(words).status, 0);  // from the cache
  EXPECT_EQ(read_file(folder / "d"), bytes);
  result = run_command(
      short_run(folder / "run", folder / "d", folder / "d", {"--attention.pattern", "syntax:1"}));
  EXPECT_EQ(result.status, 0) << result.output;

  // Raw text is parsed for a prediction, too: the same probabilities as of the dataset.
  result = run_command_on("The old mill is near the inn.\nA farmer sings. He sings well.\n",
                          {"predict", "--model", folder / "run", "--tokenizer",
                           local_data() / "tok", "--parse", "--parse-seconds", "60"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("{\"label\":"));
  EXPECT_THAT(result.output, Not(HasSubstr("unparsed")));
  double loss = 0;
  std::istringstream lines(result.output);
  for (const char* label : {"fit", "misfit"}) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    loss -= std::log(nlohmann::json::parse(line).at("probabilities").at(label).get<double>()) / 2;
  }
  result = run_command({"evaluate", "--model", folder / "run", "--data", folder / "d", "--json"});
  EXPECT_NEAR(nlohmann::json::parse(result.output).at("loss"), loss, 1e-5);
  result = run_command({"inspect", "--model", folder / "run", "--tokenizer", local_data() / "tok",
                        "--text", "The old mill is near the inn.", "--parse"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("attention syntax:1"));
  EXPECT_EQ(run_command({"predict", "--model", folder / "run", "--trees", "x", "--parse"}).status,
            2);

  fs::remove_all(folder / "parse-cache");
  std::vector<std::string> absent = words;
  absent[2] = folder / "absent.tsv";
  EXPECT_EQ(run_command(absent).status, 1);
  EXPECT_FALSE(fs::exists(folder / "parse-cache"));
  result = run_command({"prepare", "--input", folder / "in.tsv", "--tokenizer",
                        local_data() / "tok", "--out", folder / "e", "--parse-memory", "5"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("add --parse"));
}

TEST(TextAttention, PairsOfRawTextAreParsed) {
  if (run_command({"info"}).output.find("parser     none") != std::string::npos) {
    GTEST_SKIP() << "this build has no link-grammar";
  }
  const TemporaryFolder folder;
  write_file(folder / "in.tsv",
             "sentence\tother\tlabel\nThe mill is old.\tIt is near the inn.\tfit\n"
             "A farmer sings.\tHe sings well.\tmisfit\n");
  CommandResult result = run_command({"prepare", "--input", folder / "in.tsv", "--pair", "other",
                                      "--tokenizer", local_data() / "tok", "--out", folder / "d",
                                      "--parse", "--parse-seconds", "60"});
  ASSERT_EQ(result.status, 0) << result.output;
  result = run_command(
      short_run(folder / "run", folder / "d", folder / "d",
                {"--attention.pattern", "syntax:1", "--data.tokenizer", local_data() / "tok"}));
  ASSERT_EQ(result.status, 0) << result.output;
  result = run_command({"predict", "--model", folder / "run", "--parse", "--text",
                        "The mill is old.\tIt is near the inn."});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("probabilities"));
  result = run_command({"predict", "--model", folder / "run", "--parse", "--text", "The mill."});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("expected 2 texts"));
}

TEST(TextAttention, MistakesInAPlanArePointedAt) {
  const TemporaryFolder folder;
  const CommandResult result =
      run_command(run_of(folder / "run", "syntax:1 @ layers=0; lexcal:2 @ layers=1"));
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("the nearest name is \"lexical\""));
  EXPECT_THAT(result.output, HasSubstr("\n                       ^"));
  EXPECT_FALSE(fs::exists(folder / "run"));
}

}  // namespace filigree::testing
