// Tokenizers: pieces that know their place and word, files that are refused when damaged.
#include "tasks/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/language/language.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::TemporaryFolder;

Tokenizer tokenizer_of(TokenizerKind kind) {
  std::vector<std::string> lines;
  for (const Labelling labelling : all_labellings()) {
    for (const auto& s : generate_sentences(labelling, 1, 0, 100)) lines.push_back(s.text());
  }
  TokenizerOptions options;
  options.kind = kind;
  options.vocabulary = 120;
  return Tokenizer::train(options, lines);
}

class AnyTokenizer : public ::testing::TestWithParam<TokenizerKind> {};

}  // namespace

TEST_P(AnyTokenizer, PiecesCoverTheTextAndKnowTheirWord) {
  const Tokenizer tokenizer = tokenizer_of(GetParam());
  EXPECT_LE(tokenizer.vocabulary(), 120);
  for (const std::string text :
       {"the farmer sings", "  two   spaces\tand a tab ",
        "na\xc3\xafve \xe2\x80\x9cquoted\xe2\x80\x9d, don't", "a", "", "\xf0\x9f\x98\x80 unseen"}) {
    SCOPED_TRACE(text);
    const std::vector<ByteSpan> words = split_words(text);
    std::vector<bool> covered(text.size(), false);
    int64_t last = 0;
    for (const Piece& piece : tokenizer.encode(text)) {
      ASSERT_LE(last, piece.begin);
      ASSERT_LE(piece.begin, piece.end);
      ASSERT_LE(piece.end, static_cast<int64_t>(text.size()));
      last = piece.begin;
      for (int64_t i = piece.begin; i < piece.end; ++i) covered[static_cast<size_t>(i)] = true;
      EXPECT_FALSE(tokenizer.specials().marks(piece.id));
      ASSERT_LT(static_cast<size_t>(piece.word), words.size());
      const ByteSpan word = words[static_cast<size_t>(piece.word)];
      if (piece.begin < piece.end) {
        EXPECT_LT(piece.begin, word.end);
        EXPECT_GT(piece.end, word.begin);
      }
    }
    for (const ByteSpan& word : words) {
      EXPECT_TRUE(covered[static_cast<size_t>(word.begin)]) << "at " << word.begin;
    }
  }
}

TEST_P(AnyTokenizer, DecodesWhatItEncodes) {
  const Tokenizer tokenizer = tokenizer_of(GetParam());
  const std::string text = "the rusty hammer near the old mill .";
  std::vector<int32_t> ids{tokenizer.specials().cls};
  for (const Piece& piece : tokenizer.encode(text)) ids.push_back(piece.id);
  ids.push_back(tokenizer.specials().sep);
  if (std::find(ids.begin(), ids.end(), tokenizer.specials().unk) == ids.end()) {
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
  EXPECT_THROW(tokenizer.decode(std::vector<int32_t>{-1}), DataError);
  EXPECT_THROW(tokenizer.token(static_cast<int32_t>(tokenizer.vocabulary())), DataError);
}

TEST_P(AnyTokenizer, IsTheSameForTheSameCorpusAndAfterAFile) {
  const TemporaryFolder folder;
  const Tokenizer first = tokenizer_of(GetParam()), second = tokenizer_of(GetParam());
  EXPECT_EQ(first.bytes(), second.bytes());
  first.save(folder / "t");
  const Tokenizer loaded = Tokenizer::load(folder / "t");
  EXPECT_EQ(loaded.hash(), first.hash());
  EXPECT_EQ(loaded.kind(), GetParam());
  EXPECT_EQ(loaded.token(loaded.specials().mask), "[MASK]");
}

TEST_P(AnyTokenizer, ADamagedFileIsRefused) {
  const TemporaryFolder folder;
  const std::string whole = tokenizer_of(GetParam()).bytes();
  for (size_t cut = 0; cut < whole.size(); cut += 1 + whole.size() / 40) {
    write_file(folder / "t", std::string_view(whole).substr(0, cut));
    EXPECT_THROW(Tokenizer::load(folder / "t"), DataError) << cut;
  }
  std::string changed = whole;
  changed[whole.size() / 2] = static_cast<char>(changed[whole.size() / 2] ^ 1);
  write_file(folder / "t", changed);
  EXPECT_THROW(Tokenizer::load(folder / "t"), DataError);
}

INSTANTIATE_TEST_SUITE_P(Kinds, AnyTokenizer,
                         ::testing::Values(TokenizerKind::unigram, TokenizerKind::bpe,
                                           TokenizerKind::word, TokenizerKind::wordpiece),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(TokenizerErrors, SayWhatIsPossible) {
  TokenizerOptions options;
  options.vocabulary = 5000;
  try {
    Tokenizer::train(options, std::vector<std::string>{"one small text", "and another one"});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("5000"));
  }
  options.vocabulary = 3;
  EXPECT_THROW(Tokenizer::train(options, std::vector<std::string>{"a"}), ConfigError);
  options.vocabulary = 100;
  EXPECT_THROW(Tokenizer::train(options, std::vector<std::string>{}), DataError);
  EXPECT_THROW(Tokenizer::train(options, std::vector<std::string>{"\xff"}), DataError);
}

}  // namespace filigree
