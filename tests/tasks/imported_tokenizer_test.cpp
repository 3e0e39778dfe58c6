// Imported tokenizers: what holds for any text, wrong files, special ids on their way to a batch.
#include "tests/tasks/imported_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/error.h"
#include "tasks/dataset/batch.h"
#include "tasks/dataset/prepare.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::import_kind;
using testing::TemporaryFolder;

/// Texts of parts that tokenizers trip over.
rc::Gen<std::string> any_text() {
  static const std::vector<std::string> kParts = {"a",
                                                  "b",
                                                  "T",
                                                  "h",
                                                  "e",
                                                  "the",
                                                  "ing",
                                                  "9",
                                                  " ",
                                                  " ",
                                                  "\t",
                                                  "\n",
                                                  "'",
                                                  "s",
                                                  ".",
                                                  "##",
                                                  "[MASK]",
                                                  "<mask>",
                                                  "\u00e9",
                                                  "\u0301",
                                                  "\u0323",
                                                  "\u0130",
                                                  "\u00df",
                                                  "\u4e2d",
                                                  "\uac01",
                                                  "\u3042",
                                                  "\U0001f600",
                                                  "\u200d",
                                                  "\ufffd",
                                                  "\u00ad",
                                                  "\u0001",
                                                  "\u00a0",
                                                  "\u2028",
                                                  "\ue000",
                                                  "\u2581",
                                                  "\u0120",
                                                  "\u1b44",
                                                  std::string(1, '\0'),
                                                  "http://x.y/?z=1",
                                                  std::string(101, 'q')};
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(kParts)),
                      [](const std::vector<std::string>& parts) {
                        std::string text;
                        for (const std::string& part : parts) text += part;
                        return text;
                      });
}

bool is_boundary(std::string_view text, int64_t at) {
  return at == static_cast<int64_t>(text.size()) ||
         (static_cast<uint8_t>(text[static_cast<size_t>(at)]) & 0xC0U) != 0x80;
}

std::vector<int32_t> ids_of(const std::vector<Piece>& pieces) {
  std::vector<int32_t> ids;
  for (const Piece& piece : pieces) ids.push_back(piece.id);
  return ids;
}

class ImportedTokenizer : public ::testing::TestWithParam<const char*> {};

}  // namespace

TEST_P(ImportedTokenizer, PiecesLieInTheTextInOrder) {
  const Tokenizer tokenizer = import_kind(GetParam());
  EXPECT_TRUE(rc::check([&] {
    const std::string text = *any_text();
    const auto words = static_cast<int32_t>(split_words(text).size());
    int64_t last = 0;
    int32_t word = 0;
    for (const Piece& piece : tokenizer.encode(text)) {
      RC_ASSERT(piece.id >= 0 && piece.id < tokenizer.vocabulary());
      RC_ASSERT(!tokenizer.specials().marks(piece.id));
      RC_ASSERT(last <= piece.begin && piece.begin <= piece.end);
      RC_ASSERT(piece.end <= static_cast<int64_t>(text.size()));
      RC_ASSERT(is_boundary(text, piece.begin) && is_boundary(text, piece.end));
      RC_ASSERT(piece.word >= word && (piece.word < words || words == 0));
      last = piece.begin;
      word = piece.word;
    }
  }));
}

TEST_P(ImportedTokenizer, DecodedTextEncodesToTheSame) {
  const std::string kind = GetParam();
  const Tokenizer tokenizer = import_kind(kind);
  int64_t compared = 0;
  EXPECT_TRUE(rc::check([&] {
    const std::string text = *any_text();
    const std::vector<int32_t> ids = ids_of(tokenizer.encode(text));
    const std::string decoded = tokenizer.decode(ids);
    RC_ASSERT(!invalid_utf8(decoded));
    if (kind == "bytebpe") RC_ASSERT(decoded == text);
    // What is unknown is not in the decoded text.
    if (std::find(ids.begin(), ids.end(), tokenizer.specials().unk) != ids.end()) return;
    if (!kind.starts_with("wordpiece")) return;
    ++compared;
    RC_ASSERT(ids_of(tokenizer.encode(decoded)) == ids);
  }));
  EXPECT_TRUE(compared > 5 || !kind.starts_with("wordpiece"));
  const std::string plain = "the history of the world";
  EXPECT_EQ(tokenizer.decode(ids_of(tokenizer.encode(plain))), plain);
  const SpecialIds& special = tokenizer.specials();
  EXPECT_EQ(tokenizer.decode(std::vector{special.cls, special.sep, special.pad, special.mask}), "");
  EXPECT_THAT(tokenizer.decode(std::vector{special.unk}), HasSubstr("\u2047"));
}

TEST_P(ImportedTokenizer, EmptyMalformedAndEnormousTexts) {
  const Tokenizer tokenizer = import_kind(GetParam());
  EXPECT_TRUE(tokenizer.encode("").empty());
  for (const std::string text :
       {"\xff", "ab\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf"}) {
    EXPECT_THROW(tokenizer.encode(text), DataError);
  }
  EXPECT_THAT(error_of([&] { tokenizer.encode("ab\xff"); }), HasSubstr("byte 0xff at byte 3"));
  // SentencePiece takes half a minute for a megabyte that it knows no piece of.
  const bool fast =
      tokenizer.kind() == TokenizerKind::wordpiece || tokenizer.kind() == TokenizerKind::bytebpe;
  const int64_t size = fast ? 1 << 20 : 1 << 15;
  for (const std::string part : {"e", "\xc3\xa9", "\xcc\x81", "\xe4\xb8\xad", "."}) {
    std::string text = "a";
    while (static_cast<int64_t>(text.size()) < size) text += part;
    const std::vector<Piece> pieces = tokenizer.encode(text);
    ASSERT_FALSE(pieces.empty());
    EXPECT_EQ(pieces.front().begin, 0);
    if (part == "e" && tokenizer.kind() == TokenizerKind::wordpiece) {
      ASSERT_EQ(pieces.size(), 1U);
      EXPECT_EQ(pieces[0].id, tokenizer.specials().unk);
      EXPECT_EQ(pieces[0].end, static_cast<int64_t>(text.size()));
    }
  }
}

TEST_P(ImportedTokenizer, IsTheSameAfterAFileAndRefusedWhenDamaged) {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = import_kind(GetParam());
  tokenizer.save(folder / "t");
  const Tokenizer loaded = Tokenizer::load(folder / "t");
  EXPECT_EQ(loaded.hash(), tokenizer.hash());
  EXPECT_EQ(loaded.kind(), tokenizer.kind());
  EXPECT_EQ(loaded.specials(), tokenizer.specials());
  EXPECT_EQ(loaded.vocabulary(), tokenizer.vocabulary());
  for (int32_t id = 0; id < loaded.vocabulary(); ++id) {
    EXPECT_EQ(loaded.id_of(loaded.token(id)), id) << loaded.token(id);
  }
  EXPECT_EQ(loaded.id_of("no such piece"), loaded.specials().unk);
  const std::string whole = tokenizer.bytes();
  for (size_t cut = 0; cut < whole.size(); cut += 1 + whole.size() / 40) {
    EXPECT_THROW(Tokenizer::from_bytes(whole.substr(0, cut)), DataError) << cut;
    std::string changed = whole;
    changed[cut] = static_cast<char>(changed[cut] ^ 1);
    EXPECT_THROW(Tokenizer::from_bytes(changed), DataError) << cut;
  }
}

TEST_P(ImportedTokenizer, ItsSpecialIdsReachDatasetAndBatch) {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = import_kind(GetParam());
  const SpecialIds& special = tokenizer.specials();
  write_file(folder / "in.tsv", "sentence\tlabel\nthe world\tx\nhistory\ty\n");
  prepare(folder / "in.tsv", tokenizer, {}, folder / "out");
  const TokenDataset dataset = TokenDataset::open(folder / "out");
  EXPECT_EQ(dataset.info().specials, special);
  const Batch batch = make_batch(dataset, std::vector<int64_t>{0, 1});
  const auto ids = std::as_const(batch.ids).span<int32_t>();
  const auto marks = std::as_const(batch.special).span<uint8_t>();
  const auto second = static_cast<size_t>(batch.offsets.data<int64_t>()[1]);
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool first = i == 0 || i == second;
    const bool last = i + 1 == second || i + 1 == ids.size();
    EXPECT_EQ(marks[i], first || last);
    EXPECT_EQ(ids[i] == special.cls, first);
    EXPECT_EQ(ids[i] == special.sep, last);
  }
  write_file(folder / "blank.tsv", "sentence\tlabel\n\u3000 \tx\n");
  EXPECT_THAT(error_of([&] { prepare(folder / "blank.tsv", tokenizer, {}, folder / "none"); }),
              HasSubstr("the text is empty"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, ImportedTokenizer, ::testing::ValuesIn(testing::kImportedKinds),
                         [](const auto& info) { return testing::test_name(info.param); });

TEST(Import, SpecialIdsAreThoseOfThePublishedLayouts) {
  const Tokenizer plain = import_kind("plain");
  const auto pieces = static_cast<int32_t>(plain.vocabulary()) - 2;  // [PAD] and [MASK] are new
  EXPECT_EQ(plain.specials(), (SpecialIds{pieces, 0, 1, 2, pieces + 1}));
  EXPECT_EQ(plain.token(pieces + 1), "[MASK]");
  EXPECT_EQ(import_kind("camembert").specials(), (SpecialIds{1, 3, 5, 6, pieces + 4}));
  EXPECT_EQ(import_kind("camembert").vocabulary(), pieces + 5);
  EXPECT_EQ(import_kind("xlm-roberta").specials(), (SpecialIds{1, 3, 0, 2, pieces + 1}));
  EXPECT_EQ(import_kind("xlm-roberta").vocabulary(), pieces + 2);
  EXPECT_EQ(import_kind("bytebpe").specials(), (SpecialIds{1, 3, 0, 2, 4}));
  EXPECT_EQ(import_kind("wordpiece-cased").specials(), (SpecialIds{0, 2, 3, 4, 5}));
}

TEST(Import, WordPieceFilesAsTheyAre) {
  const std::string special = "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\n";
  const auto encode = [](const Tokenizer& tokenizer, std::string_view text) {
    return ids_of(tokenizer.encode(text));
  };
  // Line ends of Windows, an empty line, a piece that comes twice, no line end at the end.
  const Tokenizer odd = Tokenizer::import_wordpiece(special + "a\r\n\r\na\r\n##b", {});
  EXPECT_EQ(odd.vocabulary(), 9);
  EXPECT_THAT(encode(odd, "AB a b"), ElementsAre(7, 8, 7, 1));
  const std::string accents = special + "\u00e9\ne\n\u4e2d\n##\u4e2d\n\u00c9";
  EXPECT_THAT(encode(Tokenizer::import_wordpiece(accents, {}), "\u00c9"), ElementsAre(6));
  EXPECT_THAT(encode(Tokenizer::import_wordpiece(accents, {.strip_accents = false}), "\u00c9"),
              ElementsAre(5));
  EXPECT_THAT(encode(Tokenizer::import_wordpiece(accents, {.lower_case = false}), "\u00c9"),
              ElementsAre(9));
  EXPECT_THAT(encode(Tokenizer::import_wordpiece(accents, {.split_cjk = false}), "\u4e2d\u4e2d"),
              ElementsAre(7, 8));
  EXPECT_THAT(encode(Tokenizer::import_wordpiece(accents, {}), "\u4e2d\u4e2d"), ElementsAre(7, 7));
}

TEST(Import, WrongFilesAreNamedWithTheirFault) {
  const auto wordpiece = [](std::string_view text) {
    return error_of([&] { Tokenizer::import_wordpiece(text, {}, "v.txt"); });
  };
  EXPECT_THAT(wordpiece("[PAD]\n[UNK]\n[CLS]\nthe\n"), HasSubstr("lacks the special pieces [SEP]"));
  EXPECT_THAT(wordpiece(""), HasSubstr("v.txt"));
  EXPECT_THAT(wordpiece("\xff"), HasSubstr("not UTF-8"));
  EXPECT_THAT(error_of([] {
                Tokenizer::import_sentencepiece("nonsense", SentencePieceLayout::plain, "m.model");
              }),
              HasSubstr("[m.model] not a SentencePiece model"));
  TokenizerOptions options;
  options.kind = TokenizerKind::bpe;
  options.vocabulary = 40;
  const Tokenizer own = Tokenizer::train(options, std::vector<std::string>{"some words and more"});
  EXPECT_THAT(error_of([&] {
                Tokenizer::import_sentencepiece(own.bytes(), SentencePieceLayout::camembert);
              }),
              HasSubstr("expected piece 0"));
  const auto bytebpe = [](std::string_view vocabulary, std::string_view merges) {
    return error_of([&] { Tokenizer::import_bytebpe(vocabulary, merges, "v.json"); });
  };
  EXPECT_THAT(bytebpe("[1]", ""), HasSubstr("JSON object"));
  EXPECT_THAT(bytebpe("{\"a\": 1}", ""), HasSubstr("each id from 0 to 0 once, got 1"));
  EXPECT_THAT(bytebpe("{\"a\": 0}", ""), HasSubstr("a piece for every byte"));
  const std::string whole = read_file(testing::vocabulary_folder() / "bytebpe-vocab.json");
  EXPECT_THAT(bytebpe(whole, "#version: 0.2\nt h\nt zzz\n"), HasSubstr("merge 2"));
  EXPECT_THAT(error_of([] { parse_sentencepiece_layout("camenbert"); }),
              HasSubstr("did you mean \"camembert\"?"));
}

}  // namespace filigree
