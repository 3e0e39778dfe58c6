// Models of transformers in Filigree: the same hidden states and logits, and back without a loss.
#include <cmath>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attention/placement.h"
#include "nn/classifier.h"
#include "nn/masked_lm.h"
#include "nn/token_classifier.h"
#include "tasks/convert/conversion.h"
#include "tasks/convert/folders.h"
#include "tests/fixture_cases.h"
#include "tests/tasks/hugging_face_fixture.h"

namespace filigree::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

const SafetensorsFile& outputs() {
  static const SafetensorsFile file(hugging_face_model("outputs.safetensors"));
  return file;
}

class Parity : public ::testing::TestWithParam<std::string> {
 protected:
  void compare(DType dtype, double tolerance) {
    const ImportedModel imported = import_hugging_face(hugging_face_model(GetParam()));
    const EncoderConfig& config = imported.info.encoder;
    StateDict weights, body;
    for (const auto& [name, tensor] : imported.weights) {
      weights[name] = tensor.to(dtype);
      if (name.starts_with("encoder.")) body[name.substr(8)] = weights[name];
    }
    const TokenBatch batch{outputs().tensor("batch.ids"), outputs().tensor("batch.positions"),
                           config.segments > 1 ? outputs().tensor("batch.segments") : Tensor(),
                           outputs().tensor("batch.offsets")};
    const auto graph = std::make_shared<AttentionGraph>(
        AttentionGraph::dense(batch.offsets, static_cast<int>(config.heads)));
    const LayerGraphs graphs(static_cast<size_t>(config.layers), graph);

    Encoder encoder(config, dtype);
    encoder.load_state_dict(body);
    Variables states;
    encoder.forward(batch, graphs, {}, &states);
    ASSERT_EQ(states.size(), 3u);
    for (size_t k = 0; k < states.size(); ++k) {
      expect_equals(fmt::format("state.{}", k), states[k].value(), tolerance);
    }
    if (imported.head != HeadKind::none) {
      expect_equals("logits", logits(imported, weights, dtype, batch, graphs), tolerance);
    }
    EXPECT_EQ(outputs().contains(GetParam() + ".logits"), imported.head != HeadKind::none);
    RecordProperty("largest_deviation", fmt::format("{:.3g} in {}", worst_, worst_name_));
  }

 private:
  static Tensor logits(const ImportedModel& imported, const StateDict& weights, DType dtype,
                       const TokenBatch& batch, const LayerGraphs& graphs) {
    const EncoderConfig& config = imported.info.encoder;
    if (imported.head == HeadKind::masked_lm) {
      MaskedLm model(config, dtype);
      model.load_state_dict(weights);
      return model.logits(model.forward(batch, graphs, {})).value();
    }
    const int64_t outputs = weights.at("classifier.bias").numel();
    std::unique_ptr<Model> model;
    if (imported.head == HeadKind::classification) {
      model = std::make_unique<SequenceClassifier>(config, outputs, Pool::first, dtype);
    } else {
      model = std::make_unique<TokenClassifier>(config, outputs, dtype);
    }
    model->load_state_dict(weights);
    return model->forward(batch, graphs, {}).value();
  }
  void expect_equals(const std::string& name, const Tensor& got, double tolerance) {
    const Tensor want = outputs().tensor(GetParam() + "." + name);
    ASSERT_EQ(got.shape(), want.shape()) << name;
    const double found = deviation(got, want, 1);
    EXPECT_LE(found, tolerance) << name;
    if (!(found <= worst_)) {
      worst_ = found;
      worst_name_ = name;
    }
  }
  double worst_ = 0;
  std::string worst_name_;
};
INSTANTIATE_TEST_SUITE_P(Transformers, Parity, ::testing::ValuesIn(case_names_of(outputs())),
                         [](const auto& info) { return info.param; });

TEST_P(Parity, AgreesInSingle) { compare(DType::f32, 1e-5); }
TEST_P(Parity, AgreesInDouble) { compare(DType::f64, 1e-11); }

class RoundTrip : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Transformers, RoundTrip, ::testing::ValuesIn(case_names_of(outputs())),
                         [](const auto& info) { return info.param; });

// To Filigree, to transformers, and to Filigree again: the same model, bit for bit.
TEST_P(RoundTrip, KeepsEveryBit) {
  const TemporaryFolder folder;
  const auto once = folder.path() / "once", back = folder.path() / "back",
             twice = folder.path() / "twice";
  convert_from_hugging_face(hugging_face_model(GetParam()), once, {});
  const std::string type = GetParam().substr(0, GetParam().find('_'));
  convert_to_hugging_face(once, back, {.type = type == "xlm" ? "xlm-roberta" : type});
  convert_from_hugging_face(back, twice, {});
  const auto config = read_hugging_face_config(hugging_face_model(GetParam()) / "config.json");
  const auto written = read_hugging_face_config(back / "config.json");
  EXPECT_EQ(written.encoder.to_json(), config.encoder.to_json());
  EXPECT_EQ(written.type, config.type);
  EXPECT_EQ(written.label_names, config.label_names);
  EXPECT_EQ(head_of_architecture(written.architecture, ""),
            head_of_architecture(config.architecture, ""));
  EXPECT_EQ(read_file(once / "model.safetensors"), read_file(twice / "model.safetensors"));
}

TEST(Convert, WritesTheNamesThatWereRead) {
  const TemporaryFolder folder;
  for (const std::string name : {"roberta_masked_lm", "roberta_classifier", "bert_body"}) {
    const auto ours = folder.path() / (name + ".ours"), theirs = folder.path() / name;
    convert_from_hugging_face(hugging_face_model(name), ours, {});
    convert_to_hugging_face(ours, theirs, {});
    const SafetensorsFile before(hugging_face_model(name) / "model.safetensors");
    const SafetensorsFile after(theirs / "model.safetensors");
    EXPECT_EQ(before.entries().size(), after.entries().size());
    for (const auto& [key, entry] : before.entries()) {
      ASSERT_TRUE(after.contains(key)) << key;
      EXPECT_EQ(after.entry(key).shape, entry.shape) << key;
    }
    EXPECT_EQ(after.metadata().at("format"), "pt");  // transformers asks for it
  }
}

TEST(Convert, ReportsWhatItSkips) {
  const ImportedModel pretrained = import_hugging_face(hugging_face_model("bert_pretraining"));
  EXPECT_EQ(pretrained.head, HeadKind::masked_lm);
  EXPECT_THAT(pretrained.report.skipped,
              UnorderedElementsAre(HasSubstr("cls.seq_relationship.weight: next-sentence"),
                                   HasSubstr("cls.seq_relationship.bias: next-sentence"),
                                   HasSubstr("bert.pooler.dense.weight: the head masked_lm does"),
                                   HasSubstr("bert.pooler.dense.bias: the head masked_lm does")));
  EXPECT_EQ(pretrained.report.mapped.size(), pretrained.weights.size());
  const ImportedModel old = import_hugging_face(hugging_face_model("bert_classifier"));
  EXPECT_THAT(old.report.skipped, UnorderedElementsAre(HasSubstr("position_ids: a buffer")));
  EXPECT_EQ(old.info.label_names,
            (std::vector<std::string>{"contradiction", "neutral", "entailment"}));
  EXPECT_EQ(old.info.task, "classification");
  EXPECT_EQ(old.info.encoder.activation, Activation::gelu_tanh);
  EXPECT_THAT(to_text(old.report, true),
              HasSubstr("bert.encoder.layer.1.attention.self.query.weight + "
                        "bert.encoder.layer.1.attention.self.key.weight + "
                        "bert.encoder.layer.1.attention.self.value.weight -> "
                        "encoder.layers.1.attention.query_key_value.weight"));
}

TEST(Convert, LeavesAHeadOutAndKeepsThePooler) {
  ImportOptions options;
  options.head = HeadKind::none;
  const ImportedModel body = import_hugging_face(hugging_face_model("bert_pretraining"), options);
  EXPECT_TRUE(body.weights.contains("pooler.weight"));
  EXPECT_FALSE(body.weights.contains("masked_lm.bias"));
  EXPECT_EQ(body.report.skipped.size(), 7u);  // 5 of the head, 2 of the next sentence
  EXPECT_THAT(body.report.left_new, UnorderedElementsAre(HasSubstr("the head")));
  const ImportedModel bare = import_hugging_face(hugging_face_model("roberta_masked_lm"), options);
  EXPECT_THAT(bare.report.left_new,
              UnorderedElementsAre(HasSubstr("pooler.weight"), HasSubstr("the head")));
  // The wrong head is missing, and is named so.
  options.head = HeadKind::span;
  EXPECT_THROW(import_hugging_face(hugging_face_model("bert_pretraining"), options),
               CheckpointError);
}

// The decoder is one matrix with the embeddings: a file may hold it again.
TEST(Convert, TakesATiedDecoderAndItsBiasUnderAnyName) {
  HuggingFaceCopy copy("roberta_masked_lm");
  const ImportedModel plain = import_hugging_face(copy.path());
  copy.edit([](auto& tensors) {
    tensors["lm_head.decoder.weight"] = tensors.at("roberta.embeddings.word_embeddings.weight");
    tensors["lm_head.decoder.bias"] = tensors.at("lm_head.bias");
  });
  const ImportedModel both = import_hugging_face(copy.path());
  EXPECT_THAT(both.report.skipped,
              UnorderedElementsAre("lm_head.decoder.weight: tied to the embeddings",
                                   "lm_head.decoder.bias: the same as lm_head.bias"));
  copy.edit([](auto& tensors) { tensors.erase("lm_head.bias"); });
  const ImportedModel alias = import_hugging_face(copy.path());
  for (const auto& [name, tensor] : plain.weights) {
    EXPECT_EQ(deviation(both.weights.at(name), tensor, 1), 0) << name;
    EXPECT_EQ(deviation(alias.weights.at(name), tensor, 1), 0) << name;
  }
  copy.edit([](auto& tensors) { tensors["lm_head.decoder.weight"].fill(0.5); });
  try {
    import_hugging_face(copy.path());
    ADD_FAILURE() << "an untied decoder was taken";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), HasSubstr("not tied"));
  }
}

// Files without "architectures" and "model_type", and without the prefix, are told by their
// tensors.
TEST(Convert, TellsOldFilesByWhatTheyHold) {
  HuggingFaceCopy copy("bert_classifier");
  copy.set("architectures", nlohmann::json(nlohmann::json::value_t::discarded));
  EXPECT_EQ(import_hugging_face(copy.path()).head, HeadKind::classification);
  copy.edit([](auto& tensors) {
    std::map<std::string, Tensor> renamed;
    for (const auto& [name, tensor] : tensors) {
      renamed[name.starts_with("bert.") ? name.substr(5) : name] = tensor;
    }
    tensors = renamed;
  });
  EXPECT_EQ(import_hugging_face(copy.path()).head, HeadKind::classification);
  HuggingFaceCopy typeless("roberta_masked_lm");
  typeless.set("model_type", nlohmann::json(nlohmann::json::value_t::discarded));
  EXPECT_EQ(import_hugging_face(typeless.path()).info.encoder.position_offset, 2);
}

TEST(Convert, KeepsASparsePatternInASideFile) {
  const TemporaryFolder folder;
  ImportedModel model = import_hugging_face(hugging_face_model("bert_classifier"));
  model.info.pattern = "neighbour:2|global:cls";
  model.info.layers = "last:1";
  model.info.vectors =
      std::make_shared<TokenVectors>(model.weights.at("encoder.embeddings.token.weight"));
  save_model(folder / "model.safetensors", model.info, model.weights);
  const auto out = folder.path() / "out";
  const ConversionReport report = convert_to_hugging_face(folder / "model.safetensors", out, {});
  EXPECT_THAT(report.notes, ::testing::Contains(HasSubstr("neighbour:2|global:cls")));
  const ImportedModel again = import_hugging_face(out);
  EXPECT_EQ(again.info.pattern, "neighbour:2|global:cls");
  EXPECT_EQ(again.info.layers, "last:1");
  ASSERT_TRUE(again.info.vectors);
  EXPECT_EQ(deviation(again.info.vectors->table(), model.info.vectors->table(), 1), 0);
}

// Without segments a row of zeros stands for them: the same sums.
TEST(Convert, WritesAModelWithoutSegments) {
  const TemporaryFolder folder;
  ModelInfo info;
  info.encoder.vocabulary = 20;
  info.encoder.width = 8;
  info.encoder.heads = 2;
  info.encoder.ffn = 12;
  info.encoder.max_positions = 7;
  info.label_names = {"no", "yes"};
  SequenceClassifier model(info.encoder, 2, Pool::first);
  initialise(model, 0.2, 3);
  save_model(folder / "model.safetensors", info, model.state_dict());
  const auto out = folder.path() / "out";
  convert_to_hugging_face(folder / "model.safetensors", out, {});
  const ImportedModel again = import_hugging_face(out);
  EXPECT_EQ(again.info.encoder.segments, 1);
  EXPECT_EQ(again.info.label_names, info.label_names);
  for (const auto& [name, tensor] : again.weights) {
    const bool segment = name == "encoder.embeddings.segment.weight";
    const Tensor want = segment ? Tensor::zeros({1, 8}) : model.state_dict().at(name);
    EXPECT_EQ(deviation(tensor, want, 1), 0) << name;
  }
}

}  // namespace
}  // namespace filigree::testing
