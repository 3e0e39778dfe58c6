// Wrong input: a clear error with file and line, exit status 1 or 2, nothing lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_runner.h"
#include "core/file.h"

namespace filigree::testing {

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

/// `prepare` of a file with this text; the columns are sentence and label.
CommandResult prepare_text(const std::string& text, const TemporaryFolder& folder,
                           std::vector<std::string> more = {}) {
  write_file(folder / "in.tsv", text);
  std::vector<std::string> words{
      "prepare", "--input",     folder / "in.tsv", "--tokenizer", local_data() / "tok",
      "--out",   folder / "out"};
  words.insert(words.end(), more.begin(), more.end());
  return run_command(words);
}

}  // namespace

TEST(WrongInput, UnknownCommandOptionAndSettingNameTheNearest) {
  CommandResult result = run_command({"trian"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("did you mean \"train\"?"));
  result = run_command({"prepare", "--inputt", "x"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("did you mean \"--input\"?"));
  result = run_command({"train", "--out", "x", "--model.layer", "2"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("did you mean \"model.layers\"?"));
  result = run_command({"train", "--out", "x", "--model.layers", "two"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("model.layers"));
}

TEST(WrongInput, SettingsWithoutSenseAreNamed) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"model.width", "0"},          {"model.heads", "3"},
      {"train.batch_tokens", "0"},   {"train.lr", "-1"},
      {"train.metric", "acuracy"},   {"model.max_positions", "5"},
      {"attention.layers", "only:7"}};
  for (const auto& [name, value] : wrong) {
    const TemporaryFolder folder;
    std::vector<std::string> words = short_run(folder / "run");
    std::erase(words, "--model.width");
    std::erase(words, "32");
    std::erase(words, "--train.batch_tokens");
    std::erase(words, "256");
    words.insert(words.end(), {"--" + name, value});
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 2) << name;
    EXPECT_THAT(result.output, HasSubstr("[" + name + "]"));
  }
  const CommandResult result = run_command({"info", "word"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("a word stands behind no option"));
}

TEST(WrongInput, ASettingTakesNoOptionForItsValue) {
  const TemporaryFolder folder;
  const auto run_with = [&](const std::string& out, const std::vector<std::string>& more) {
    return run_command(short_run(folder / out, more));
  };
  CommandResult result = run_with("a", {"--model.recompute", "--quiet"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, Not(HasSubstr("[model]")));  // --quiet
  EXPECT_THAT(read_file(folder / "a/config.ini"), HasSubstr("recompute = true"));
  result = run_with("b", {"--model.recompute", "no", "--quiet"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(read_file(folder / "b/config.ini"), HasSubstr("recompute = false"));
  EXPECT_EQ(run_with("c", {"--quiet", "--model.recompute"}).status, 0);
  EXPECT_THAT(read_file(folder / "c/config.ini"), HasSubstr("recompute = true"));
  for (const auto& more : std::vector<std::vector<std::string>>{
           {"--train.lr", "--quiet"}, {"--train.lr"}, {"--train.lr", "--train.seed", "2"}}) {
    result = run_with("d", more);
    EXPECT_EQ(result.status, 2);
    EXPECT_THAT(result.output, HasSubstr("[train.lr] expected a value behind it, got none"));
  }
  EXPECT_EQ(run_with("d", {"--model.recompute", "word"}).status, 2);
  EXPECT_FALSE(fs::exists(folder / "d"));
}

TEST(WrongInput, NegativeSeedsAreRefused) {
  const TemporaryFolder folder;
  write_file(folder / "seed.ini", "[train]\nseed = -1\n");
  const std::string out = folder / "out", text = local_data() / "local.train.tsv";
  const std::vector<std::vector<std::string>> commands{
      short_run(out, {"--train.seed", "-1"}),
      short_run(out, {"--train.seed=-1"}),
      short_run(out, {"--config", folder / "seed.ini"}),
      {"generate", "--labelling", "local", "--out", out, "--seed", "-1"},
      {"tokenizer", "train", "--kind", "word", "--input", text, "--out", out, "--seed", "-1"}};
  for (const auto& words : commands) {
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 2) << words[0];
    EXPECT_THAT(result.output, HasSubstr("seed] expected a whole number"));
    EXPECT_THAT(result.output, HasSubstr("got \"-1\""));
    EXPECT_FALSE(fs::exists(out));
  }
  EXPECT_EQ(run_command({"generate", "--labelling", "local", "--out", out, "--train", "10", "--dev",
                         "2", "--seed", "18446744073709551615"})
                .status,
            0);
}

TEST(WrongInput, SamplesThatAreTooLongForTheModel) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_command(short_run(folder / "run")).status, 0);
  std::string text = "sentence\tlabel\nthe mill\tmisfit\n";
  for (int i = 0; i < 50; ++i) text += "mill ";
  const CommandResult prepared = prepare_text(text + "\tfit\n", folder);
  ASSERT_EQ(prepared.status, 0) << prepared.output;
  CommandResult result =
      run_command({"evaluate", "--model", folder / "run", "--data", folder / "out"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("--max-length 32"));
  result = run_command({"evaluate", "--model", folder / "run", "--data", local_data() / "dev",
                        "--batch-tokens", "0"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("[batch-tokens] expected 1 or more"));
}

TEST(WrongInput, UnknownKeyInAFileNamesTheNearest) {
  const TemporaryFolder folder;
  write_file(folder / "c.ini", "[train]\nlearning = 3\nstep = 4\n");
  const CommandResult result =
      run_command({"train", "--out", folder / "run", "--config", folder / "c.ini"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("unknown setting \"train.learning\""));
}

TEST(WrongInput, WrongPatternPointsAtTheCharacter) {
  const TemporaryFolder folder;
  std::vector<std::string> words = short_run(folder / "run");
  words.insert(words.end(), {"--attention.pattern", "neighbor:8|global:cls"});
  const CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("neighbour"));
  EXPECT_FALSE(fs::exists(fs::path(folder / "run") / "config.ini"));
}

TEST(WrongInput, TrainingStepsThatCannotBeTimed) {
  const std::vector<std::string> small{
      "bench",    "step", "--layers", "1", "--width",  "16", "--length",     "20", "--mixed",
      "--tokens", "64",   "--steps",  "1", "--rounds", "2",  "--vocabulary", "50"};
  const CommandResult result = run_command(small);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("in sequences of 2 to 20"));
  const auto with = [&](const std::string& flag, const std::string& value) {
    std::vector<std::string> words = small;
    words.insert(words.end(), {flag, value});
    return run_command(words);
  };
  EXPECT_EQ(with("--threads", "0").status, 2);
  EXPECT_EQ(with("--heads", "3").status, 2);
  EXPECT_EQ(with("--precision", "f16").status, 2);
  EXPECT_EQ(with("--pattern", "neighbor:2").status, 2);
  EXPECT_THAT(with("--precision", "tf32").output, HasSubstr("give --device cuda"));
}

TEST(WrongInput, MoreSentencesThanFitInMemory) {
  const TemporaryFolder folder;
  const CommandResult result =
      run_command({"generate", "--labelling", "local", "--out", folder / "g", "--train",
                   "100000000000000", "--dev", "2"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("at most 10000000 sentences"));
}

TEST(WrongInput, MissingColumn) {
  const TemporaryFolder folder;
  const CommandResult result = prepare_text("sentense\tlabel\nthe old mill\tfit\n", folder);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("did you mean \"sentense\"?"));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(WrongInput, WrongLabel) {
  const TemporaryFolder folder;
  const CommandResult result = prepare_text("sentence\tlabel\nthe mill\tfit\nthe inn\tfitt\n",
                                            folder, {"--labels", "fit,misfit"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("in.tsv:3"));
  EXPECT_THAT(result.output, HasSubstr("fit, misfit"));
}

TEST(WrongInput, WrongNumberOfColumns) {
  const TemporaryFolder folder;
  const std::string text = "sentence\tlabel\nthe mill\tfit\textra\nthe inn\tmisfit\n";
  CommandResult result = prepare_text(text, folder);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("in.tsv:2"));
  EXPECT_THAT(result.output, HasSubstr("expected 2 columns, got 3"));
  result = prepare_text(text, folder, {"--skip-bad-lines", "1"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("1 lines skipped"));
}

TEST(WrongInput, EmptyFileAndHeaderOnly) {
  const TemporaryFolder folder;
  EXPECT_THAT(prepare_text("", folder).output, HasSubstr("the file is empty"));
  const CommandResult result = prepare_text("sentence\tlabel\n", folder);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("no sample"));
}

TEST(WrongInput, TextThatIsWhiteSpaceToUnicodeAlone) {
  const TemporaryFolder folder;
  write_file(folder / "in.tsv", "sentence\tlabel\n\xc2\x85\tfit\n");
  CommandResult result =
      run_command({"tokenizer", "train", "--kind", "bpe", "--vocabulary", "60", "--input",
                   local_data() / "local.train.tsv", "--out", folder / "bpe"});
  ASSERT_EQ(result.status, 0) << result.output;
  result = run_command({"prepare", "--input", folder / "in.tsv", "--tokenizer", folder / "bpe",
                        "--out", folder / "out"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("in.tsv:2] the text is empty"));
}

TEST(WrongInput, TreesBelongToTheirText) {
  const TemporaryFolder folder;
  write_file(folder / "in.conllu",
             "# sent_id = 7\n# text_en = the mill is old\n# label = fit\n"
             "1\tdie\t_\tDET\t_\t_\t2\tdet\t_\t_\n2\tMuehle\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n");
  const auto prepare_column = [&](const std::string& column) {
    return run_command({"prepare", "--input", folder / "in.conllu", "--text", column, "--tokenizer",
                        local_data() / "tok", "--out", folder / "out"});
  };
  for (const std::string column : {"text_en", "sent_id"}) {
    const CommandResult result = prepare_column(column);
    EXPECT_EQ(result.status, 2);
    EXPECT_THAT(result.output, HasSubstr("got the column \"" + column + "\""));
    EXPECT_FALSE(fs::exists(folder / "out"));
  }
  for (const std::string column : {"text", "sentence"}) {
    const CommandResult result = prepare_column(column);
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(result.output, HasSubstr("1 links, 0.250 a token; tokens without a link (they keep "
                                         "self and globals only): 0\n"));
  }
}

TEST(WrongInput, NotUtf8) {
  const TemporaryFolder folder;
  const CommandResult result =
      prepare_text("sentence\tlabel\nthe mill\tfit\nthe \xff mill\tfit\n", folder);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("in.tsv:3"));
  EXPECT_THAT(result.output, HasSubstr("0xff"));
}

TEST(WrongInput, ALineOfAMillionCharacters) {
  const TemporaryFolder folder;
  std::string words;
  while (words.size() < 1'000'000) words += "mill ";
  CommandResult result =
      prepare_text("sentence\tlabel\n" + words + "\tfit\nthe inn\tmisfit\n", folder);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("1 truncated"));
  result =
      prepare_text("sentence\tlabel\n" + words + "\tfit\n", folder, {"--max-line-bytes", "1000"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("in.tsv:2"));
}

TEST(WrongInput, TruncatedAndForeignFiles) {
  const TemporaryFolder folder;
  const std::string whole = read_file(local_data() / "train");
  write_file(folder / "cut", std::string_view(whole).substr(0, whole.size() / 2));
  std::vector<std::string> words = short_run(folder / "run");
  words[4] = folder / "cut";
  CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("cut"));
  for (const std::string name : {"tok", "local.train.tsv"}) {  // text, not safetensors
    words[4] = local_data() / name;
    result = run_command(words);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr("is no safetensors file"));
    EXPECT_THAT(result.output, Not(HasSubstr(" bytes")));
  }
  std::string changed = whole;
  changed[changed.size() - 5] ^= 1;
  write_file(folder / "changed", changed);
  words[4] = folder / "changed";
  result = run_command(words);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("checksum"));
  result =
      run_command({"evaluate", "--model", local_data() / "train", "--data", local_data() / "dev"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("no model of Filigree"));
}

TEST(WrongInput, AnotherTokenizer) {
  const TemporaryFolder folder;
  const CommandResult other =
      run_command({"tokenizer", "train", "--kind", "word", "--vocabulary", "20", "--input",
                   local_data() / "local.train.tsv", "--out", folder / "tok"});
  ASSERT_EQ(other.status, 0) << other.output;
  std::vector<std::string> words = short_run(folder / "run");
  words.insert(words.end(), {"--data.tokenizer", folder / "tok"});
  CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("expected the tokenizer"));
  ASSERT_EQ(run_command(short_run(folder / "good")).status, 0);
  result = run_command(
      {"predict", "--model", folder / "good", "--tokenizer", folder / "tok", "--text", "the mill"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("expected the tokenizer"));
}

TEST(WrongInput, NoSpaceLeft) {
  const TemporaryFolder folder;
  const std::vector<std::string> words = short_run(folder / "run");
  CommandResult result = run_command(words, 20'000);  // the model is larger
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("File too large"));
  EXPECT_FALSE(fs::exists(fs::path(folder / "run") / "best" / "model.safetensors"));

  const CommandResult prepared =
      run_command({"prepare", "--input", local_data() / "local.train.tsv", "--tokenizer",
                   local_data() / "tok", "--out", folder / "out"},
                  5'000);
  EXPECT_EQ(prepared.status, 1);
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().filename(), "run") << "left behind";
  }
}

TEST(WrongInput, AFolderThatHoldsARunIsKept) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_command(short_run(folder / "run")).status, 0);
  const std::string before = read_file(fs::path(folder / "run") / "best" / "model.safetensors");
  const CommandResult result = run_command(short_run(folder / "run"));
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("--resume"));
  EXPECT_EQ(read_file(fs::path(folder / "run") / "best" / "model.safetensors"), before);
}

TEST(WrongInput, NanStopsWithTheOpOrIsSkipped) {
  const TemporaryFolder folder;
  std::vector<std::string> words = short_run(folder / "run");
  words.insert(words.end(), {"--train.lr", "1e3", "--train.clip", "0", "--model.init_std", "1e30"});
  CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("in pooler"));  // the module's path
  words[2] = folder / "skipped";
  words.insert(words.end(), {"--train.nan", "skip"});
  result = run_command(words);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("skipped"));
}

}  // namespace filigree::testing
