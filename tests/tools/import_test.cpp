// `tokenizer import`: from published files to a tokenizer that prepares data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_runner.h"
#include "core/file.h"

namespace filigree::testing {

namespace {

using ::testing::HasSubstr;

std::string vocabulary(const std::string& name) {
  return std::string(FILIGREE_SOURCE_DIR) + "/tests/tasks/data/tokenizers/" + name;
}

CommandResult import_from(std::vector<std::string> options, const std::string& out) {
  std::vector<std::string> words{"tokenizer", "import", "--out", out};
  words.insert(words.end(), options.begin(), options.end());
  return run_command(words);
}

}  // namespace

TEST(Import, EveryKindMakesATokenizerThatPrepares) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> kinds = {
      {{"--kind", "wordpiece", "--vocab", vocabulary("wordpiece-uncased.txt")},
       "ids 0 pad, 2 unk, 3 cls, 4 sep, 5 mask"},
      {{"--kind", "wordpiece", "--cased", "--vocab", vocabulary("wordpiece-cased.txt")},
       "ids 0 pad, 2 unk, 3 cls, 4 sep, 5 mask"},
      {{"--kind", "sentencepiece", "--layout", "camembert", "--model", vocabulary("unigram.model")},
       "ids 1 pad, 3 unk, 5 cls, 6 sep, 804 mask"},
      {{"--kind", "bytebpe", "--vocab", vocabulary("bytebpe-vocab.json"), "--merges",
        vocabulary("bytebpe-merges.txt")},
       "ids 1 pad, 3 unk, 0 cls, 2 sep, 4 mask"}};
  for (const auto& [options, ids] : kinds) {
    const TemporaryFolder folder;
    CommandResult result = import_from(options, folder / "tok");
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr(ids));
    write_file(folder / "in.tsv", "sentence\tlabel\nThe caf\u00e9\t0\nA world\t1\n");
    result = run_command({"prepare", "--input", folder / "in.tsv", "--tokenizer", folder / "tok",
                          "--out", folder / "out"});
    EXPECT_EQ(result.status, 0) << result.output;
  }
}

TEST(Import, WrongUseNamesWhatIsMissing) {
  const TemporaryFolder folder;
  CommandResult result = import_from({"--kind", "wordpiece"}, folder / "tok");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("give --vocab FILE"));
  result = import_from({"--kind", "wordpieces"}, folder / "tok");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("expected wordpiece, sentencepiece or bytebpe"));
  result = import_from(
      {"--kind", "wordpiece", "--cased", "--uncased", "--vocab", vocabulary("wordpiece-cased.txt")},
      folder / "tok");
  EXPECT_EQ(result.status, 2);
  result =
      import_from({"--kind", "wordpiece", "--vocab", vocabulary("unigram.model")}, folder / "tok");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("not UTF-8"));
  result = import_from({"--kind", "bytebpe", "--vocab", vocabulary("bytebpe-vocab.json"),
                        "--merges", folder / "tok"},
                       folder / "tok");
  EXPECT_NE(result.status, 0);
}

}  // namespace filigree::testing
