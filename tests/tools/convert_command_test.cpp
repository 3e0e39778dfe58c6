// `filigree convert` as a user runs it.
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "tests/tools/command_runner.h"

namespace filigree::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kModels = FILIGREE_SOURCE_DIR "/tests/tasks/data/hugging_face/";

TEST(ConvertCommand, GoesThereAndBack) {
  const TemporaryFolder folder;
  const CommandResult there =
      run_command({"convert", kModels + "bert_classifier", folder / "ours", "--list"});
  EXPECT_EQ(there.status, 0) << there.output;
  EXPECT_THAT(there.output,
              AllOf(HasSubstr("mapped    33 tensors"), HasSubstr("skipped   1"),
                    HasSubstr("bert.embeddings.LayerNorm.gamma -> encoder.embeddings.norm.weight"),
                    HasSubstr("model of Filigree: " + folder / "ours")));
  const CommandResult back = run_command({"convert", folder / "ours", folder / "theirs"});
  EXPECT_EQ(back.status, 0) << back.output;
  EXPECT_THAT(back.output, HasSubstr("folder for transformers: " + folder / "theirs"));
  EXPECT_TRUE(std::filesystem::exists(folder / "theirs/model.safetensors"));
  const CommandResult info = run_command({"info", "--file", folder / "theirs/model.safetensors"});
  EXPECT_THAT(info.output, HasSubstr("bert.encoder.layer.1.attention.self.value.weight"));
}

TEST(ConvertCommand, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const std::string in = kModels + "bert_classifier";
  const auto expect = [](const std::vector<std::string>& words, int status, const char* text) {
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  };
  expect({"convert", "--help"}, 0, "usage: filigree convert IN OUT");
  expect({"convert", in}, 2, "expected IN and OUT, got 1 names");
  expect({"convert", in, folder / "a", folder / "b"}, 2, "got 3 names");
  expect({"convert", in, folder / "a", "--haed", "none"}, 2, "did you mean \"--head\"?");
  expect({"convert", in, folder / "a", "--head", "nome"}, 2, "did you mean \"none\"?");
  expect({"convert", in, folder / "a", "--type", "bert"}, 2, "a folder of transformers already");
  expect({"convert", folder / "none", folder / "a", "--head", "none"}, 2, "it has no config.json");
  expect({"convert", folder / "none", folder / "a"}, 1, "there is no such file or folder");
  expect({"convert", kModels + "outputs.safetensors", folder / "a"}, 1, "no model of Filigree");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  expect({"convert", in, folder / "a"}, 0, "mapped");
  expect({"convert", in, folder / "a"}, 1, "exists already");
}

// From transformers through a finetuning under a sparse pattern, and back.
TEST(ConvertCommand, AConvertedModelFinetunesUnderAPattern) {
  const TemporaryFolder folder;
  std::filesystem::copy(kModels + "bert_pretraining", folder / "bert");
  std::string pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", table = "text\tlabel\n";
  for (const char* word : {"a", "good", "bad", "film", "plot", "##s", "."}) {
    pieces += std::string(word) + "\n";
  }
  for (int i = 0; i < 12; ++i) {
    table += std::string("a ") + (i % 2 == 0 ? "good" : "bad") + (i % 3 == 0 ? " films" : " plot") +
             " .\t" + (i % 2 == 0 ? "yes" : "no") + "\n";
  }
  write_file(folder / "bert/vocab.txt", pieces);
  write_file(folder / "data.tsv", table);
  const auto expect = [](const std::vector<std::string>& words, const char* text) {
    const CommandResult result = run_command(words);
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  };
  expect({"convert", folder / "bert", folder / "ours", "--head", "none"},
         "tokenizer: wordpiece, 12 pieces");
  expect({"prepare", "--input", folder / "data.tsv", "--text", "text", "--label", "label",
          "--tokenizer", folder / "ours/tokenizer.model", "--out", folder / "data"},
         "12");
  expect({"train", "--out", folder / "run", "--data.train", folder / "data", "--data.dev",
          folder / "data", "--data.tokenizer", folder / "ours/tokenizer.model", "--model.init",
          folder / "ours", "--attention.pattern", "neighbour:1|global:cls", "--train.steps", "3",
          "--train.threads", "1"},
         "new: classifier.weight, classifier.bias; unused: none");
  expect({"convert", folder / "run", folder / "back"}, "its outputs will differ");
  EXPECT_EQ(read_file(folder / "back/vocab.txt"), pieces);
  expect({"convert", folder / "back", folder / "again", "--list"}, "classifier.weight");
  expect({"info", "--file", folder / "again/model.safetensors"}, "neighbour:1|global:cls");
}

// A full disk leaves neither the folder nor a part of it.
TEST(ConvertCommand, LeavesNothingOnAFullDisk) {
  const TemporaryFolder folder;
  const CommandResult result =
      run_command({"convert", kModels + "bert_classifier", folder / "ours"}, 20'000);
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("error: "));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace filigree::testing
