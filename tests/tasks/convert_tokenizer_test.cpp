// Tokenizers of Hugging Face folders: known to Filigree behind a conversion, and written back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tasks/convert/folders.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tests/error_text.h"
#include "tests/tasks/hugging_face_fixture.h"

namespace filigree::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const std::vector<std::string> kPieces{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film",
                                       "a",     "good",  "##s",   ".",     "Über",   "uber"};

std::string vocab_txt(const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += piece + "\n";
  return text;
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  for (const Piece& piece : tokenizer.encode(text)) ids.push_back(piece.id);
  return ids;
}

/// The tokenizer of the copy as Filigree reads it behind a conversion.
Tokenizer converted(const HuggingFaceCopy& copy, const std::string& out = "out") {
  convert_from_hugging_face(copy.path(), copy.beside(out), {});
  Tokenizer tokenizer = Tokenizer::load(copy.beside(out) / "tokenizer.model");
  EXPECT_EQ(read_model_info(copy.beside(out) / "model.safetensors").tokenizer_hash,
            tokenizer.hash());
  return tokenizer;
}

TEST(ConvertTokenizer, TakesWordPieceWithItsRules) {
  const std::vector<int32_t> uncased{6, 7, 5, 8, 9, 11}, cased{6, 7, 5, 8, 9, 10};
  const char* text = "a good films. Über";
  HuggingFaceCopy plain("bert_classifier");
  write_file(plain.path() / "vocab.txt", vocab_txt(kPieces));
  EXPECT_EQ(ids_of(converted(plain), text), uncased);
  HuggingFaceCopy ruled("bert_classifier");
  write_file(ruled.path() / "vocab.txt", vocab_txt(kPieces));
  write_file(ruled.path() / "tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_EQ(ids_of(converted(ruled), text), cased);
  // The same from tokenizer.json alone, as newer versions of transformers save it.
  HuggingFaceCopy fast("bert_classifier");
  nlohmann::json vocab;
  for (size_t id = 0; id < kPieces.size(); ++id) vocab[kPieces[id]] = id;
  nlohmann::json all{{"normalizer", {{"type", "BertNormalizer"}, {"lowercase", false}}},
                     {"model", {{"type", "WordPiece"}, {"vocab", vocab}}}};
  write_file(fast.path() / "tokenizer.json", all.dump());
  EXPECT_EQ(ids_of(converted(fast), text), cased);
  all["model"]["vocab"]["good"] = 70;
  write_file(fast.path() / "tokenizer.json", all.dump());
  EXPECT_THAT(error_of([&] { converted(fast, "other"); }), HasSubstr("the id of \"good\" is 70"));
}

TEST(ConvertTokenizer, WritesWordPieceBackFromARun) {
  HuggingFaceCopy copy("bert_classifier");
  write_file(copy.path() / "vocab.txt", vocab_txt(kPieces));
  write_file(copy.path() / "tokenizer_config.json", R"({"do_lower_case": false})");
  const Tokenizer tokenizer = converted(copy);
  std::filesystem::remove(copy.beside("out") / "vocab.txt");  // a run has tokenizer.model alone
  std::filesystem::remove(copy.beside("out") / "tokenizer_config.json");
  convert_to_hugging_face(copy.beside("out"), copy.beside("back"), {});
  EXPECT_EQ(read_file(copy.beside("back") / "vocab.txt"), vocab_txt(kPieces));
  const auto config =
      nlohmann::json::parse(read_file(copy.beside("back") / "tokenizer_config.json"));
  EXPECT_FALSE(config.at("do_lower_case").get<bool>());
  convert_from_hugging_face(copy.beside("back"), copy.beside("again"), {});
  EXPECT_EQ(Tokenizer::load(copy.beside("again") / "tokenizer.model").hash(), tokenizer.hash());
}

/// vocab.json of RoBERTa's special pieces, all bytes in GPT-2's spelling, and two merged pieces.
std::string byte_vocabulary() {
  nlohmann::ordered_json vocab;
  for (const char* piece : {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}) vocab[piece] = vocab.size();
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    const int c = visible ? byte : next++;
    std::string text(1, static_cast<char>(c));
    if (c >= 0x80) text = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    vocab[text] = vocab.size();
  }
  for (const char* piece : {"fi", "film"}) vocab[piece] = vocab.size();
  vocab["lm"] = vocab.size();
  return vocab.dump();
}

TEST(ConvertTokenizer, WritesByteLevelBpeBackFromARun) {
  const std::string merges = "#version: 0.2\nf i\nl m\nfi lm\n";
  const Tokenizer tokenizer = Tokenizer::import_bytebpe(byte_vocabulary(), merges);
  const TemporaryFolder folder;
  const auto run = folder.path() / "run", back = folder.path() / "back";
  std::filesystem::create_directory(run);
  tokenizer.save(run / "tokenizer.model");
  ModelInfo info;
  info.task = "tagging";
  info.label_names = {"X", "Y"};
  info.tokenizer_hash = tokenizer.hash();
  info.encoder = EncoderConfig::roberta(tokenizer.vocabulary());
  info.encoder.width = 8;
  info.encoder.layers = 1;
  info.encoder.heads = 2;
  info.encoder.ffn = 8;
  save_model(run / "model.safetensors", info,
             make_module(info.encoder, HeadKind::tags, 2, false)->state_dict());
  convert_to_hugging_face(run, back, {});
  EXPECT_EQ(read_file(back / "merges.txt"), merges);
  EXPECT_EQ(nlohmann::json::parse(read_file(back / "vocab.json")),
            nlohmann::json::parse(byte_vocabulary()));
  convert_from_hugging_face(back, folder.path() / "again", {});
  EXPECT_EQ(Tokenizer::load(folder.path() / "again" / "tokenizer.model").hash(), tokenizer.hash());
  EXPECT_EQ(ids_of(tokenizer, "film").size(), 1u);
}

TEST(ConvertTokenizer, RefusesAnotherModelsTokenizer) {
  HuggingFaceCopy copy("bert_classifier");
  std::vector<std::string> pieces = kPieces;
  for (int i = 0; i < 96; ++i) pieces.push_back("more" + std::to_string(i));
  write_file(copy.path() / "vocab.txt", vocab_txt(pieces));
  EXPECT_THAT(error_of([&] { converted(copy); }),
              HasSubstr("the tokenizer has 108 pieces, the model 96 embeddings"));
  EXPECT_FALSE(std::filesystem::exists(copy.beside("out")));
  write_file(copy.path() / "vocab.txt", "a\nb\n");
  EXPECT_THAT(error_of([&] { converted(copy); }), HasSubstr("vocab.txt"));
  std::filesystem::remove(copy.path() / "vocab.txt");
  for (const char* text : {"", "[]", "{}", R"({"model": {"type": "BPE"}})"}) {
    write_file(copy.path() / "tokenizer.json", text);
    EXPECT_THAT(error_of([&] { converted(copy); }), HasSubstr("tokenizer.json")) << text;
  }
}

TEST(ConvertTokenizer, SaysWhereThereIsNone) {
  const TemporaryFolder folder;
  const ConversionReport report =
      convert_from_hugging_face(hugging_face_model("bert_classifier"), folder.path() / "out", {});
  EXPECT_THAT(report.notes, Contains(HasSubstr("no tokenizer that Filigree knows")));
  EXPECT_THAT(convert_to_hugging_face(folder.path() / "out", folder.path() / "back", {}).notes,
              Contains(HasSubstr("no tokenizer is with the model")));
}

}  // namespace
}  // namespace filigree::testing
