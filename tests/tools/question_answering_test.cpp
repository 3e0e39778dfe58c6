// Question answering through the command: prepare, train, resume, evaluate, predict.
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

std::string run_well(const std::vector<std::string>& words) {
  const CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 0) << result.output;
  return result.output;
}

/// 20 questions of a context of 3 sentences.
std::string small_squad() {
  const std::string context =
      "the old mill stood by the river . the young miller saw the inn . "
      "a dog ran to the mill .";
  nlohmann::json questions = nlohmann::json::array();
  for (int i = 0; i < 20; ++i) {
    const std::string answer = i % 2 == 0 ? "river" : "inn";
    questions.push_back(
        {{"id", "q" + std::to_string(i)},
         {"question", i % 2 == 0 ? "where was the mill ?" : "what did he see ?"},
         {"answers", {{{"text", answer}, {"answer_start", context.find(answer)}}}}});
  }
  return nlohmann::json{
      {"data", {{{"title", "mill"}, {"paragraphs", {{{"context", context}, {"qas", questions}}}}}}}}
      .dump();
}

std::vector<std::string> prepare_words(const TemporaryFolder& folder) {
  write_file(folder / "in.json", small_squad());
  return {"prepare",
          "--task",
          "qa",
          "--input",
          folder / "in.json",
          "--tokenizer",
          local_data() / "tok",
          "--max-length",
          "24",
          "--doc-stride",
          "4",
          "--max-question",
          "8",
          "--out",
          folder / "data"};
}

std::vector<std::string> train_words(const TemporaryFolder& folder, const std::string& out) {
  return {"train",
          "--out",
          out,
          "--data.train",
          folder / "data",
          "--data.dev",
          folder / "data",
          "--data.tokenizer",
          local_data() / "tok",
          "--train.steps",
          "6",
          "--train.batch_tokens",
          "200",
          "--train.threads",
          "1",
          "--train.save_every",
          "2",
          "--train.keep",
          "3",
          "--model.width",
          "16",
          "--attention.pattern",
          "neighbour:3|global:cls"};
}

std::string final_weights(const fs::path& run) {
  return read_file(run / "checkpoints" / "step-00000006" / "model.safetensors");
}

}  // namespace

TEST(QuestionCommands, FromAFileToAnswers) {
  const TemporaryFolder folder;
  EXPECT_THAT(run_well(prepare_words(folder)),
              AllOf(HasSubstr("20 questions in "), HasSubstr("0 questions whose answer is in no")));
  EXPECT_THAT(run_well(train_words(folder, folder / "run")),
              AllOf(HasSubstr("qa: "), HasSubstr("f1 "), HasSubstr("exact_match ")));
  const std::string data = folder / "data", run = folder / "run";
  const auto metrics =
      nlohmann::json::parse(run_well({"evaluate", "--model", run, "--data", data, "--json"}));
  EXPECT_TRUE(metrics.contains("f1") && metrics.contains("exact_match"));
  const auto answers =
      nlohmann::json::parse(run_well({"predict", "--model", run, "--data", data, "--official"}));
  ASSERT_EQ(answers.size(), 20u);
  int64_t right = 0;
  for (int i = 0; i < 20; ++i) {
    right += answers.at("q" + std::to_string(i)) == (i % 2 == 0 ? "river" : "inn");
  }
  EXPECT_NEAR(metrics["exact_match"].get<double>(), 5.0 * static_cast<double>(right), 1e-9);
  // The same question as text, in the same parts, has the same answer.
  const std::string lines = run_well({"predict", "--model", run, "--data", data, "--n-best", "3"});
  const auto first = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first["id"], "q0");
  EXPECT_EQ(first["best"].size(), 3u);
  const auto squad = nlohmann::json::parse(small_squad());
  const nlohmann::json asked{{"question", "where was the mill ?"},
                             {"context", squad["data"][0]["paragraphs"][0]["context"]}};
  const auto answer = nlohmann::json::parse(
      run_well({"predict", "--model", run, "--text", asked.dump(), "--max-length", "24",
                "--doc-stride", "4", "--max-question", "8", "--n-best", "3"}));
  EXPECT_EQ(answer["answer"], first["answer"]);
  EXPECT_NEAR(answer["best"][0]["score"].get<double>(), first["best"][0]["score"].get<double>(),
              1e-4);
}

TEST(QuestionCommands, AResumedRunEndsWithTheSameWeights) {
  const TemporaryFolder folder;
  run_well(prepare_words(folder));
  run_well(train_words(folder, folder / "run"));
  fs::copy(folder / "run", folder / "again", fs::copy_options::recursive);
  for (const char* step : {"step-00000004", "step-00000006"}) {
    fs::remove_all(fs::path(folder / "again") / "checkpoints" / step);
  }
  std::vector<std::string> words = train_words(folder, folder / "again");
  words.push_back("--resume");
  EXPECT_THAT(run_well(words), HasSubstr("step 2"));
  EXPECT_TRUE(final_weights(folder / "again") == final_weights(folder / "run"));
}

TEST(QuestionCommands, WrongUse) {
  const TemporaryFolder folder;
  std::vector<std::string> words = prepare_words(folder);
  words.insert(words.end(), {"--label-map", "a=b"});
  EXPECT_THAT(run_command(words).output, HasSubstr("not for answers"));
  words = prepare_words(folder);
  *std::find(words.begin(), words.end(), "4") = "13";
  EXPECT_THAT(run_command(words).output,
              AllOf(HasSubstr("[max-length] expected at least 25"), HasSubstr("--doc-stride")));
  run_well({"train", "--out", folder / "classes", "--data.train", local_data() / "train",
            "--data.dev", local_data() / "dev", "--data.tokenizer", local_data() / "tok",
            "--train.steps", "2", "--model.width", "16"});
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{"--max-answer", "3", "--text", "a"},
                                             {"--data", local_data() / "dev"},
                                             {"--official"}}) {
    std::vector<std::string> asked{"predict", "--model", folder / "classes"};
    asked.insert(asked.end(), more.begin(), more.end());
    const CommandResult result = run_command(asked);
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr("hint: ")) << more[0];
  }
  const CommandResult divided = run_command({"predict", "--model", folder / "classes", "--data",
                                             local_data() / "dev", "--doc-stride", "4"});
  EXPECT_EQ(divided.status, 2);
  EXPECT_THAT(divided.output, HasSubstr("divided already"));
}

}  // namespace filigree::testing
