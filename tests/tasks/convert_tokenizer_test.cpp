// Tokenizers of Hugging Face folders: known to Filigree behind a conversion, and written back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tasks/convert/attention_file.h"
#include "tasks/convert/folders.h"
#include "tasks/dataset/dataset.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tasks/training/model_input.h"
#include "tasks/training/model_setup.h"
#include "tests/error_text.h"
#include "tests/tasks/hugging_face_fixture.h"
#include "tests/tasks/imported_tokenizer.h"

namespace filigree::testing {
namespace {

using ::testing::AllOf;
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

/// A run's folder: a small RoBERTa for tagging, and its tokenizer.model.
void write_run(const std::filesystem::path& run, const Tokenizer& tokenizer) {
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
  write_run(run, tokenizer);
  convert_to_hugging_face(run, back, {});
  EXPECT_EQ(read_file(back / "merges.txt"), merges);
  EXPECT_EQ(nlohmann::json::parse(read_file(back / "vocab.json")),
            nlohmann::json::parse(byte_vocabulary()));
  convert_from_hugging_face(back, folder.path() / "again", {});
  EXPECT_EQ(Tokenizer::load(folder.path() / "again" / "tokenizer.model").hash(), tokenizer.hash());
  EXPECT_EQ(ids_of(tokenizer, "film").size(), 1u);
}

class KeepsIds : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Imported, KeepsIds, ::testing::ValuesIn(kImportedKinds),
                         [](const auto& info) { return test_name(info.param); });

// Out and in again every text has the same ids, and datasets of the tokenizer still fit.
TEST_P(KeepsIds, OutAndIn) {
  const std::string kind = GetParam();
  const Tokenizer tokenizer = import_kind(kind);
  const TemporaryFolder folder;
  const auto back = folder.path() / "back", again = folder.path() / "again";
  write_run(folder.path() / "run", tokenizer);
  convert_to_hugging_face(folder.path() / "run", back, {});
  const bool fairseq = kind == "camembert" || kind == "xlm-roberta";
  EXPECT_EQ(read_hugging_face_config(back / "config.json").type, fairseq ? kind : "roberta");
  convert_from_hugging_face(back, again, {});
  EXPECT_EQ(Tokenizer::load(again / "tokenizer.model").hash(), tokenizer.hash());
  EXPECT_EQ(read_model_info(again / "model.safetensors").tokenizer_hash, tokenizer.hash());
  // And from the files of transformers alone.
  std::filesystem::remove(back / "tokenizer.model");
  convert_from_hugging_face(back, folder.path() / "theirs", {});
  const Tokenizer theirs = Tokenizer::load(folder.path() / "theirs" / "tokenizer.model");
  EXPECT_EQ(theirs.hash(), tokenizer.hash());
  const char* text = "A good film, was it not?";
  EXPECT_EQ(ids_of(theirs, text), ids_of(tokenizer, text));
}

TEST(ConvertTokenizer, RefusesAnotherTokenizerThanFiligreeJsonNames) {
  const TemporaryFolder folder;
  const auto back = folder.path() / "back", again = folder.path() / "again";
  write_run(folder.path() / "run", import_kind("camembert"));
  convert_to_hugging_face(folder.path() / "run", back, {});
  import_kind("plain").save(back / "tokenizer.model");
  EXPECT_THAT(error_of([&] { convert_from_hugging_face(back, again, {}); }),
              AllOf(HasSubstr(import_kind("camembert").hash()), HasSubstr("filigree.json names"),
                    HasSubstr(import_kind("plain").hash())));
  EXPECT_FALSE(std::filesystem::exists(again));
}

TEST(ConvertTokenizer, LeavesForeignFilesBehind) {
  const Tokenizer tokenizer = import_kind("wordpiece-cased");
  const TemporaryFolder folder;
  const auto run = folder.path() / "run";
  write_run(run, tokenizer);
  write_file(run / "added_tokens.json", R"({"<x>": 7})");
  convert_to_hugging_face(run, folder.path() / "one", {});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "one" / "added_tokens.json"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "one" / "vocab.txt"));
  write_file(run / "vocab.txt", vocab_txt(kPieces));
  write_file(run / "tokenizer.json", "damaged");
  const ConversionReport report =
      convert_to_hugging_face(run, folder.path() / "two", {.type = "roberta"});
  EXPECT_THAT(report.notes, Contains(HasSubstr("vocab.txt was left behind")));
  EXPECT_THAT(report.notes, Contains(HasSubstr("tokenizer.json was left behind")));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "two" / "tokenizer.json"));
  EXPECT_EQ(read_file(folder.path() / "two" / "vocab.txt"),
            read_file(vocabulary_folder() / "wordpiece-cased.txt"));
  convert_from_hugging_face(folder.path() / "two", folder.path() / "again", {});
  EXPECT_EQ(Tokenizer::load(folder.path() / "again" / "tokenizer.model").hash(), tokenizer.hash());
  // The model's own go along as they are.
  write_file(run / "vocab.txt", read_file(vocabulary_folder() / "wordpiece-cased.txt"));
  write_file(run / "tokenizer_config.json", R"({"do_lower_case": false, "mine": 1})");
  convert_to_hugging_face(run, folder.path() / "three", {});
  EXPECT_EQ(read_file(folder.path() / "three" / "tokenizer_config.json"),
            read_file(run / "tokenizer_config.json"));
}

TEST(ConvertTokenizer, RefusesPiecesThatAreNoLines) {
  HuggingFaceCopy copy("bert_classifier");
  nlohmann::json vocab;
  for (size_t id = 0; id < kPieces.size(); ++id) vocab[kPieces[id]] = id;
  const auto error = [&](const nlohmann::json& pieces) {
    const nlohmann::json all{{"model", {{"type", "WordPiece"}, {"vocab", pieces}}}};
    write_file(copy.path() / "tokenizer.json", all.dump());
    return error_of([&] { converted(copy); });
  };
  nlohmann::json twice = vocab, broken = vocab;
  twice["bad"] = 7;
  EXPECT_THAT(error(twice), HasSubstr("\"bad\" and \"good\" both have the id 7"));
  broken.erase("good");
  broken["go\nod"] = 7;
  EXPECT_THAT(error(broken), HasSubstr("expected pieces of one line, got \"go\\nod\""));
}

/// A dataset of two samples in two classes, as of an unknown tokenizer.
TokenDataset small_dataset(const std::filesystem::path& path, int64_t vocabulary) {
  DatasetInfo info;
  info.label_names = {"no", "yes"};
  info.vocabulary = vocabulary;
  info.tokenizer_hash = "0123456789abcdef";
  info.max_length = 8;
  DatasetWriter writer(info);
  for (const int32_t label : {0, 1}) {
    writer.add(std::vector<int32_t>{2, 5 + label, 3}, std::vector<int32_t>{-1, 0, -1}, {}, {},
               label);
  }
  writer.save(path);
  return TokenDataset::open(path);
}

// Without a tokenizer the sizes of the vocabularies decide.
TEST(ConvertTokenizer, AModelWithoutOneTakesDataOfItsSize) {
  const TemporaryFolder folder;
  convert_from_hugging_face(hugging_face_model("bert_classifier"), folder.path() / "out", {});
  const ModelInfo info = read_model_info(folder.path() / "out" / "model.safetensors");
  EXPECT_EQ(info.tokenizer_hash, "");
  const TokenDataset fits = small_dataset(folder.path() / "fits", 96);
  const TokenDataset other = small_dataset(folder.path() / "other", 95);
  const char* message = "expected the 96 pieces of the model, whose tokenizer is not known, got 95";
  EXPECT_EQ(error_of([&] { expect_fits(info, fits); }), "no error");
  EXPECT_THAT(error_of([&] { expect_fits(info, other); }), HasSubstr(message));

  TrainConfig config;
  config.model.init = (folder.path() / "out").string();
  const ModelSetup setup = set_up_model(config, fits, fits);
  EXPECT_THAT(setup.notes, Contains(HasSubstr("its tokenizer is not known")));
  EXPECT_EQ(setup.info.tokenizer_hash, fits.info().tokenizer_hash);
  EXPECT_THAT(error_of([&] { set_up_model(config, other, other); }), HasSubstr(message));
}

TEST(ConvertTokenizer, KeepsTheHashOfFiligreeJson) {
  HuggingFaceCopy copy("bert_classifier");
  ModelInfo named;
  named.tokenizer_hash = "fedcba9876543210";
  write_attention_file(copy.path(), named);
  convert_from_hugging_face(copy.path(), copy.beside("out"), {});
  const ModelInfo kept = read_model_info(copy.beside("out") / "model.safetensors");
  EXPECT_EQ(kept.tokenizer_hash, named.tokenizer_hash);
  const TokenDataset data = small_dataset(copy.beside("data"), 96);
  EXPECT_THAT(error_of([&] { expect_fits(kept, data); }),
              HasSubstr("expected the tokenizer fedcba9876543210 of the model"));
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
