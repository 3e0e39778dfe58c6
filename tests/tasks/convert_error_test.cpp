// Folders that cannot be converted: one clear error each, and nothing is written.
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "nn/classifier.h"
#include "tasks/convert/attention_file.h"
#include "tasks/convert/folders.h"
#include "tests/error_text.h"
#include "tests/tasks/hugging_face_fixture.h"

namespace filigree::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// The error of converting the copy, which must leave nothing behind.
std::string import_error(const HuggingFaceCopy& copy, const ImportOptions& options = {}) {
  const std::string before = copy.listing();
  const std::string error =
      error_of([&] { convert_from_hugging_face(copy.path(), copy.beside("out"), options); });
  EXPECT_EQ(copy.listing(), before);
  return error;
}

struct WrongSetting {
  const char* key;
  nlohmann::json value;
  const char* message;
};

TEST(ConvertErrors, SettingsThatChangeTheMaths) {
  const WrongSetting settings[] = {
      {"position_embedding_type", "relative_key", "position_embedding_type is \"relative_key\""},
      {"is_decoder", true, "is_decoder is true"},
      {"add_cross_attention", true, "add_cross_attention is true"},
      {"hidden_act", "swish", "hidden_act is \"swish\""},
      {"pruned_heads", {{"0", {1}}}, "pruned_heads is"},
      {"quantization_config", {{"bits", 4}}, "quantization_config is"},
      {"model_type", "electra", "model_type is \"electra\""},
      {"architectures", {"BertForMultipleChoice"}, "the architecture is BertForMultipleChoice"},
      {"architectures", "Bert", "\"architectures\" is \"Bert\""},
      {"hidden_size", "large", "\"hidden_size\" is \"large\""},
      {"hidden_size", 30, "expected a divisor of the width 30"},
      {"hidden_size", 36, "config.json] hidden_size: expected that of bert.embeddings.word_"},
      {"num_hidden_layers", 3, "num_hidden_layers: expected the 2 layers of the weights, got 3"},
      {"num_hidden_layers", 100'000'000, "expected the 2 layers of the weights, got 100000000"},
      {"num_hidden_layers", 1, "unknown    bert.encoder.layer.1.attention"},
      {"vocab_size", 97, "bert.embeddings.word_embeddings.weight (96, 32), got 97"},
      {"vocab_size", 1'000'000'000'000, "word_embeddings.weight (96, 32), got 1000000000000"},
      {"max_position_embeddings", 1'000'000'000'000, "position_embeddings.weight (20, 32), got 1"},
      {"type_vocab_size", 1'000'000'000'000, "type_vocab_size: expected that of bert.embeddings."},
      {"intermediate_size", 1'000'000'000'000, "intermediate_size: expected that of bert.encoder"},
      {"vocab_size", nullptr, "expected at least one token"},
      {"vocab_size", 1.5, "\"vocab_size\" is 1.5"},
      {"max_position_embeddings", 0, "expected at least 1"},
      {"layer_norm_eps", -1, "norm_eps"},
      {"id2label", {{"0", "a"}, {"1", "b"}}, "3 outputs, but id2label names 2 classes"},
      {"id2label", {{"0", "a"}, {"2", "b"}}, "no name for 1"},
      {"id2label", {{"0", "a"}, {"1", "a"}, {"2", "c"}}, "names \"a\" twice"},
  };
  for (const WrongSetting& setting : settings) {
    HuggingFaceCopy copy("bert_classifier");
    copy.set(setting.key, setting.value);
    EXPECT_THAT(import_error(copy), AllOf(HasSubstr(setting.message), HasSubstr("hint: ")))
        << setting.key;
  }
  HuggingFaceCopy roberta("roberta_masked_lm");
  roberta.set("hidden_act", "relu");
  EXPECT_THAT(import_error(roberta), HasSubstr("RoBERTa's masked_lm head has the exact GELU"));
}

TEST(ConvertErrors, MissingFolderFilesAndKeys) {
  const TemporaryFolder empty;
  EXPECT_THAT(
      error_of([&] { convert_from_hugging_face(empty.path() / "none", empty.path() / "out", {}); }),
      HasSubstr("config.json"));
  EXPECT_THAT(
      error_of([&] { convert_to_hugging_face(empty.path() / "none", empty.path() / "out", {}); }),
      HasSubstr("there is no such file or folder"));
  EXPECT_THAT(error_of([&] { convert_to_hugging_face(empty.path(), empty.path() / "out", {}); }),
              HasSubstr("the folder holds no model"));
  EXPECT_TRUE(std::filesystem::is_empty(empty.path()));

  HuggingFaceCopy copy("bert_classifier");
  copy.set("hidden_size", nlohmann::json(nlohmann::json::value_t::discarded));
  EXPECT_THAT(import_error(copy), HasSubstr("lacks \"hidden_size\""));
  for (const char* text : {"", "[]", "{\"a\": ", "\xff\xfe"}) {
    write_file(copy.path() / "config.json", text);
    EXPECT_THAT(import_error(copy), HasSubstr("is not a JSON object")) << text;
  }
}

TEST(ConvertErrors, NoSafetensors) {
  HuggingFaceCopy copy("bert_classifier");
  std::filesystem::remove(copy.path() / "model.safetensors");
  EXPECT_THAT(import_error(copy), HasSubstr("holds neither model.safetensors nor"));
  write_file(copy.path() / "pytorch_model.bin", "pickle");
  EXPECT_THAT(import_error(copy),
              AllOf(HasSubstr("holds pytorch_model.bin"), HasSubstr("safe_serialization=True")));
}

TEST(ConvertErrors, TensorsThatDoNotFit) {
  HuggingFaceCopy copy("bert_classifier");
  copy.edit([](auto& tensors) {
    tensors.erase("bert.pooler.dense.bias");
    tensors["classifier.weight"] = Tensor::zeros({3, 31});
    tensors["bert.extra"] = Tensor::zeros({2});
    tensors["bert.encoder.layer.0.attention.self.key.bias"] = Tensor::zeros({96});
  });
  // All faults at once.
  EXPECT_THAT(import_error(copy),
              AllOf(HasSubstr("missing    pooler.dense.bias"),
                    HasSubstr("misshapen  classifier.weight: expected (3, 32), got (3, 31)"),
                    HasSubstr("misshapen  bert.encoder.layer.0.attention.self.key.bias"),
                    HasSubstr("unknown    bert.extra (2)")));
  HuggingFaceCopy extra("bert_classifier");
  extra.edit([](auto& tensors) { tensors["bert.extra"] = Tensor::zeros({2}); });
  EXPECT_THAT(import_error(extra), HasSubstr("unknown    bert.extra"));
  ImportOptions options;
  options.skip_unknown = true;
  EXPECT_THAT(import_hugging_face(extra.path(), options).report.skipped,
              ::testing::Contains("bert.extra: no place for it here"));
  HuggingFaceCopy twice("bert_classifier");
  twice.edit([](auto& tensors) {
    tensors["bert.embeddings.LayerNorm.weight"] = tensors.at("bert.embeddings.LayerNorm.gamma");
  });
  EXPECT_THAT(import_error(twice), HasSubstr("are one parameter"));
  HuggingFaceCopy whole("bert_classifier");
  whole.edit([](auto& tensors) { tensors["classifier.bias"] = Tensor::zeros({3}, DType::i64); });
  EXPECT_THAT(import_error(whole), HasSubstr("tensor \"classifier.bias\" has dtype I64"));
  HuggingFaceCopy scalar("bert_classifier");
  scalar.edit([](auto& tensors) { tensors["classifier.weight"] = Tensor::scalar(1); });
  EXPECT_THAT(import_error(scalar), HasSubstr("misshapen  classifier.weight"));
}

TEST(ConvertErrors, CutFiles) {
  const std::string bytes = read_file(hugging_face_model("bert_classifier") / "model.safetensors");
  for (const size_t size :
       {size_t{0}, size_t{5}, size_t{8}, size_t{300}, bytes.size() / 2, bytes.size() - 1}) {
    HuggingFaceCopy copy("bert_classifier");
    write_file(copy.path() / "model.safetensors", bytes.substr(0, size));
    EXPECT_THAT(import_error(copy), HasSubstr("model.safetensors")) << size;
  }
  const std::string config = read_file(hugging_face_model("bert_classifier") / "config.json");
  for (size_t size = 0; size + 3 < config.size(); size += 41) {
    HuggingFaceCopy copy("bert_classifier");
    write_file(copy.path() / "config.json", config.substr(0, size));
    EXPECT_THAT(import_error(copy), HasSubstr("is not a JSON object")) << size;
  }
}

TEST(ConvertErrors, ASealThatIsBroken) {
  const TemporaryFolder folder;
  ImportedModel model = import_hugging_face(hugging_face_model("bert_classifier"));
  model.info.vectors =
      std::make_shared<TokenVectors>(model.weights.at("encoder.embeddings.token.weight"));
  save_model(folder / "model.safetensors", model.info, model.weights);
  convert_to_hugging_face(folder / "model.safetensors", folder / "out", {});
  for (const char* name : {"model.safetensors", "filigree_vectors.safetensors"}) {
    const std::filesystem::path file = std::filesystem::path(folder / "out") / name;
    const std::string whole = read_file(file);
    std::string bytes = whole;
    bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 1);
    write_file(file, bytes);
    EXPECT_THAT(error_of([&] { import_hugging_face(folder / "out"); }),
                AllOf(HasSubstr(name), HasSubstr("checksum")));
    write_file(file, whole);
  }
  EXPECT_EQ(error_of([&] { import_hugging_face(folder / "out"); }), "no error");
}

TEST(ConvertErrors, AnAttentionFileThatIsWrong) {
  const auto error = [](const std::string& pattern, const std::string& layers,
                        const std::string& heads, const nlohmann::json& seed) {
    HuggingFaceCopy copy("bert_classifier");
    const nlohmann::json attention{{"pattern", pattern}, {"layers", layers}, {"heads", heads}};
    const nlohmann::json all{{"attention", attention}, {"seed", seed}, {"pairs", false}};
    write_file(copy.path() / "filigree.json", all.dump());
    return import_error(copy);
  };
  const auto names_file = [](const char* text) {
    return AllOf(HasSubstr("filigree.json"), HasSubstr(text));
  };
  EXPECT_THAT(error("nonsense:9", "all", "all", 1), names_file("nonsense"));
  EXPECT_THAT(error("neighbour:2", "all", "0-9", 1), names_file("0-9"));
  EXPECT_THAT(error("neighbour:2", "7", "all", 1), names_file("7"));
  EXPECT_THAT(error("neighbour:2", "all", "all", -1), names_file("a seed of 0 or more, got -1"));
  EXPECT_THAT(error("neighbour:2", "all", "all", 1.5), names_file("a seed of 0 or more, got 1.5"));
  EXPECT_THAT(error("neighbour:2", "all", "all", "one"), names_file("got \"one\""));
}

TEST(ConvertErrors, TokenVectorsOfAnotherVocabulary) {
  HuggingFaceCopy copy("bert_classifier");
  ModelInfo info;
  Tensor table = Tensor::zeros({5, 3});
  table.fill(1);
  info.vectors = std::make_shared<TokenVectors>(table);
  write_attention_file(copy.path(), info);
  EXPECT_THAT(import_error(copy), HasSubstr("expected a vector for each of 96 pieces, got (5, 3)"));
}

TEST(ConvertErrors, IndexesThatDoNotFitTheirFiles) {
  HuggingFaceCopy lost("bert_span");
  std::filesystem::remove(lost.path() / "model-00002-of-00002.safetensors");
  EXPECT_THAT(import_error(lost), HasSubstr("model-00002-of-00002.safetensors"));
  const auto with_index = [](const std::string& text) {
    HuggingFaceCopy copy("bert_span");
    write_file(copy.path() / "model.safetensors.index.json", text);
    return import_error(copy);
  };
  EXPECT_THAT(with_index("{}"), HasSubstr("lacks \"weight_map\""));
  EXPECT_THAT(with_index(R"({"weight_map": {"a": 1}})"), HasSubstr("is no string"));
  EXPECT_THAT(with_index(R"({"weight_map": {"a": "../model.safetensors"}})"),
              HasSubstr("is not in the folder"));
  EXPECT_THAT(with_index(R"({"weight_map": {"a": "model-00001-of-00002.safetensors"}})"),
              HasSubstr("\"a\" is not in model-00001-of-00002.safetensors"));
  EXPECT_THAT(with_index(R"({"weight_map": {}})"), HasSubstr("missing"));
}

TEST(ConvertErrors, AnOutputThatIsThere) {
  HuggingFaceCopy copy("bert_classifier");
  std::filesystem::create_directory(copy.beside("out"));
  write_file(copy.beside("out") / "mine", "kept");
  EXPECT_THAT(import_error(copy), HasSubstr("exists already"));
  EXPECT_EQ(read_file(copy.beside("out") / "mine"), "kept");
  EXPECT_THAT(error_of([&] {
                convert_from_hugging_face(copy.path(), copy.beside("no") / "such" / "out", {});
              }),
              HasSubstr("cannot make the folder"));
}

/// A model file of ours, and the error of its way out.
std::string export_error(const std::function<void(ModelInfo&, StateDict&)>& edit,
                         const std::string& type = "") {
  const TemporaryFolder folder;
  ImportedModel model = import_hugging_face(hugging_face_model("bert_classifier"));
  edit(model.info, model.weights);
  save_model(folder / "model.safetensors", model.info, model.weights);
  const std::string error = error_of([&] {
    convert_to_hugging_face(folder / "model.safetensors", folder / "out", {.type = type});
  });
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  return error;
}

TEST(ConvertErrors, ModelsThatTransformersDoesNotCompute) {
  EXPECT_THAT(export_error([](ModelInfo& info, StateDict&) { info.pool = Pool::mean; }),
              HasSubstr("the model pools the mean"));
  EXPECT_THAT(export_error([](ModelInfo& i, StateDict&) { i.encoder.norm = NormPlacement::pre; }),
              HasSubstr("pre-norm"));
  EXPECT_THAT(export_error([](ModelInfo& info, StateDict&) { info.encoder.relative_bias = 3; }),
              HasSubstr("bias by distance"));
  EXPECT_THAT(export_error([](ModelInfo& info, StateDict&) { info.encoder.max_positions = 0; }),
              HasSubstr("no position embeddings"));
  EXPECT_THAT(export_error([](ModelInfo& info, StateDict&) { info.task = "poetry"; }),
              HasSubstr("poetry"));
  EXPECT_THAT(export_error([](ModelInfo&, StateDict&) {}, "roberta"), HasSubstr("--type bert"));
  EXPECT_THAT(export_error([](ModelInfo&, StateDict&) {}, "gpt"),
              HasSubstr("there is no type \"gpt\""));
  EXPECT_THAT(export_error([](ModelInfo&, StateDict& weights) { weights.erase("pooler.bias"); }),
              HasSubstr("missing    pooler.bias"));
  EXPECT_THAT(export_error([](ModelInfo&, StateDict& weights) {
                weights["pooler.bias"] = Tensor::zeros({31});
                weights["more"] = Tensor::zeros({1});
              }),
              AllOf(HasSubstr("misshapen  pooler.bias"), HasSubstr("unexpected more")));
}

// transformers knows no gates.
TEST(ConvertErrors, DegreesThatAreNotHardened) {
  EXPECT_THAT(export_error([](ModelInfo& info, StateDict& weights) {
                info.encoder.degrees = {"adaptive_span", 8, "head", "dense"};
                weights["encoder.degrees.span"] =
                    Tensor::zeros({info.encoder.layers * info.encoder.heads, 1});
              }),
              HasSubstr("filigree learn"));
}

TEST(ConvertErrors, AModelFileOfOursThatIsDamaged) {
  const TemporaryFolder folder;
  const ImportedModel model = import_hugging_face(hugging_face_model("bert_classifier"));
  save_model(folder / "model.safetensors", model.info, model.weights);
  std::string bytes = read_file(folder / "model.safetensors");
  bytes[bytes.size() - 100] = static_cast<char>(bytes[bytes.size() - 100] ^ 1);
  write_file(folder / "model.safetensors", bytes);
  EXPECT_THAT(
      error_of([&] { convert_to_hugging_face(folder / "model.safetensors", folder / "out", {}); }),
      HasSubstr("checksum"));
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST(ConvertErrors, NamesOfHeads) {
  EXPECT_EQ(parse_head("span"), HeadKind::span);
  EXPECT_THAT(error_of([] { parse_head("spam"); }), HasSubstr("did you mean \"span\"?"));
}

}  // namespace
}  // namespace filigree::testing
