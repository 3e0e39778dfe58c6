#include "tasks/convert/hugging_face_config.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kHeadNames{"none", "classification", "masked_lm", "span",
                                                     "tags"};
struct Type {
  std::string_view name, classes;  // model_type, beginning of the names of its classes
};
constexpr std::array<Type, 4> kTypes{{{"bert", "Bert"},
                                      {"roberta", "Roberta"},
                                      {"camembert", "Camembert"},
                                      {"xlm-roberta", "XLMRoberta"}}};

/// The classes whose head is known, by the end of their names.
struct ClassEnd {
  std::string_view end;
  HeadKind head;
};
constexpr std::array<ClassEnd, 7> kClassEnds{
    {{"ForMaskedLM", HeadKind::masked_lm},
     {"ForPreTraining", HeadKind::masked_lm},
     {"ForSequenceClassification", HeadKind::classification},
     {"ForTokenClassification", HeadKind::tags},
     {"ForQuestionAnswering", HeadKind::span},
     {"ForNextSentencePrediction", HeadKind::none},
     {"Model", HeadKind::none}}};

struct NamedActivation {
  std::string_view name;
  Activation activation;
};
/// The first of each is the one that is written.
constexpr std::array<NamedActivation, 7> kActivations{{{"gelu", Activation::gelu_erf},
                                                       {"gelu_new", Activation::gelu_tanh},
                                                       {"relu", Activation::relu},
                                                       {"tanh", Activation::tanh},
                                                       {"gelu_python", Activation::gelu_erf},
                                                       {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                       {"gelu_fast", Activation::gelu_tanh}}};

/// Keys that this file reads, or that say nothing about what an encoder computes.
constexpr std::array<std::string_view, 43> kKnown{"model_type",
                                                  "architectures",
                                                  "vocab_size",
                                                  "hidden_size",
                                                  "num_hidden_layers",
                                                  "num_attention_heads",
                                                  "intermediate_size",
                                                  "max_position_embeddings",
                                                  "type_vocab_size",
                                                  "hidden_act",
                                                  "hidden_dropout_prob",
                                                  "attention_probs_dropout_prob",
                                                  "classifier_dropout",
                                                  "layer_norm_eps",
                                                  "initializer_range",
                                                  "pad_token_id",
                                                  "bos_token_id",
                                                  "eos_token_id",
                                                  "sep_token_id",
                                                  "cls_token_id",
                                                  "mask_token_id",
                                                  "position_embedding_type",
                                                  "is_decoder",
                                                  "is_encoder_decoder",
                                                  "add_cross_attention",
                                                  "cross_attention_hidden_size",
                                                  "tie_word_embeddings",
                                                  "tie_encoder_decoder",
                                                  "pruned_heads",
                                                  "quantization_config",
                                                  "id2label",
                                                  "label2id",
                                                  "num_labels",
                                                  "problem_type",
                                                  "transformers_version",
                                                  "torch_dtype",
                                                  "dtype",
                                                  "use_cache",
                                                  "_name_or_path",
                                                  "gradient_checkpointing",
                                                  "chunk_size_feed_forward",
                                                  "output_attentions",
                                                  "output_hidden_states"};

/// A config.json that is being read.
class Reader {
 public:
  Reader(const std::filesystem::path& file, Json json)
      : where_(file.string()), json_(std::move(json)) {}

  /// The value of a key, `fallback` where it is missing or null.
  template <class T>
  T get(const char* key, T fallback) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return fallback;
    const bool fits = std::is_same_v<T, std::string> ? found->is_string()
                      : std::is_same_v<T, bool>      ? found->is_boolean()
                      : std::is_same_v<T, double>    ? found->is_number()
                                                     : found->is_number_integer();
    if (!fits) fail(fmt::format("\"{}\" is {}", key, found->dump()));
    return found->template get<T>();
  }
  int64_t require(const char* key) const {
    if (!json_.contains(key)) fail(fmt::format("lacks \"{}\"", key));
    return get<int64_t>(key, 0);
  }
  [[noreturn]] void fail(const std::string& what, std::string_view hint = "") const {
    throw CheckpointError(
        where_, what,
        hint.empty() ? "give a folder that save_pretrained() of transformers wrote" : hint);
  }
  const Json& json() const { return json_; }
  const std::string& where() const { return where_; }

 private:
  std::string where_;
  Json json_;
};

/// "model_type", or in old files what the class begins with.
std::string read_type(const Reader& in, const std::string& architecture) {
  std::string type = in.get<std::string>("model_type", "");
  for (const Type& known : kTypes) {
    if (type.empty() && architecture.starts_with(known.classes)) type = known.name;
    if (type == known.name) return type;
  }
  in.fail(type.empty() ? "names no \"model_type\"" : fmt::format("model_type is \"{}\"", type),
          "bert, roberta, camembert and xlm-roberta can be converted");
}

std::string read_architecture(const Reader& in) {
  const auto found = in.json().find("architectures");
  if (found == in.json().end() || found->is_null() || (found->is_array() && found->empty())) {
    return "";
  }
  if (!found->is_array() || !found->front().is_string()) {
    in.fail(fmt::format("\"architectures\" is {}", found->dump()));
  }
  return found->front().get<std::string>();
}

/// Everything that would change the result and that an encoder of ours does not do.
void refuse_other_maths(const Reader& in) {
  constexpr const char* kHint = "Filigree computes encoders with absolute positions only";
  if (const auto kind = in.get<std::string>("position_embedding_type", "absolute");
      kind != "absolute") {
    in.fail(fmt::format("position_embedding_type is \"{}\"", kind), kHint);
  }
  for (const char* key : {"is_decoder", "is_encoder_decoder", "add_cross_attention"}) {
    if (in.get<bool>(key, false)) in.fail(fmt::format("{} is true", key), kHint);
  }
  for (const char* key : {"pruned_heads", "quantization_config"}) {
    const auto found = in.json().find(key);
    if (found != in.json().end() && !found->is_null() && !found->empty()) {
      in.fail(fmt::format("{} is {}", key, found->dump()),
              "save the model without pruning and quantization");
    }
  }
}

Activation read_activation(const Reader& in) {
  const auto name = in.get<std::string>("hidden_act", "gelu");
  std::vector<std::string_view> names;
  for (const NamedActivation& known : kActivations) {
    if (name == known.name) return known.activation;
    names.push_back(known.name);
  }
  in.fail(fmt::format("hidden_act is \"{}\"", name),
          fmt::format("these can be computed: {}", fmt::join(names, ", ")));
}

/// id2label in order of the ids, which are 0, 1, 2 ...
std::vector<std::string> read_labels(const Reader& in) {
  const auto found = in.json().find("id2label");
  std::vector<std::string> names;
  if (found == in.json().end() || found->is_null()) {
    const int64_t count = in.get<int64_t>("num_labels", 0);
    if (count < 0 || count > 1 << 20) in.fail(fmt::format("num_labels is {}", count));
    for (int64_t c = 0; c < count; ++c) names.push_back(fmt::format("LABEL_{}", c));
    return names;
  }
  if (!found->is_object()) in.fail("\"id2label\" is no object");
  for (size_t c = 0; c < found->size(); ++c) {
    const auto label = found->find(std::to_string(c));
    if (label == found->end() || !label->is_string()) {
      in.fail(fmt::format("id2label has {} entries, but no name for {}", found->size(), c));
    }
    names.push_back(label->get<std::string>());
    if (std::count(names.begin(), names.end(), names.back()) > 1) {
      in.fail(fmt::format("id2label names \"{}\" twice", names.back()));
    }
  }
  return names;
}

EncoderConfig read_encoder(const Reader& in, Family family) {
  EncoderConfig e;
  e.vocabulary = in.require("vocab_size");
  e.width = in.require("hidden_size");
  e.layers = in.require("num_hidden_layers");
  e.heads = in.require("num_attention_heads");
  e.ffn = in.require("intermediate_size");
  e.max_positions = in.require("max_position_embeddings");
  e.segments = in.get<int64_t>("type_vocab_size", 2);
  // RoBERTa's positions start behind the number of its padding token.
  e.position_offset = family == Family::roberta ? in.get<int64_t>("pad_token_id", 1) + 1 : 0;
  e.dropout = in.get<double>("hidden_dropout_prob", 0.1);
  e.attention_dropout = in.get<double>("attention_probs_dropout_prob", 0.1);
  e.norm_eps = in.get<double>("layer_norm_eps", 1e-12);
  e.init_std = in.get<double>("initializer_range", 0.02);
  e.activation = read_activation(in);
  try {
    e.validate();
    if (e.max_positions == 0) throw ConfigError("model.positions", "expected at least 1");
  } catch (const ConfigError& error) {
    in.fail(error.what());
  }
  return e;
}

}  // namespace

std::string_view name_of(HeadKind head) { return kHeadNames[static_cast<size_t>(head)]; }

HeadKind parse_head(std::string_view name) {
  for (size_t k = 0; k < kHeadNames.size(); ++k) {
    if (kHeadNames[k] == name) return static_cast<HeadKind>(k);
  }
  const std::string near = nearest_name(name, kHeadNames);
  throw ConfigError("head", fmt::format("there is no head \"{}\"", name),
                    near.empty() ? fmt::format("{}", fmt::join(kHeadNames, ", "))
                                 : fmt::format("did you mean \"{}\"?", near));
}

HeadKind head_of_architecture(std::string_view architecture, std::string_view where) {
  for (const Type& type : kTypes) {
    if (!architecture.starts_with(type.classes)) continue;
    for (const ClassEnd& known : kClassEnds) {
      if (architecture.substr(type.classes.size()) == known.end) return known.head;
    }
  }
  std::vector<std::string_view> ends;
  for (const ClassEnd& known : kClassEnds) ends.push_back(known.end);
  throw CheckpointError(where, fmt::format("the architecture is {}", architecture),
                        fmt::format("these of Bert, Roberta, Camembert and XLMRoberta can be "
                                    "converted: {}",
                                    fmt::join(ends, ", ")));
}

HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& file) {
  Json json = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    throw CheckpointError(file.string(), "is not a JSON object",
                          "give a folder that save_pretrained() of transformers wrote");
  }
  const Reader in(file, std::move(json));
  HuggingFaceConfig config;
  config.architecture = read_architecture(in);
  config.type = read_type(in, config.architecture);
  refuse_other_maths(in);
  config.encoder = read_encoder(in, config.family());
  config.label_names = read_labels(in);
  const auto classifier_dropout = in.get<double>("classifier_dropout", config.encoder.dropout);
  if (classifier_dropout != config.encoder.dropout) {
    config.notes.push_back(
        fmt::format("classifier_dropout {} becomes {}, the encoder's: it bears "
                    "on further training only",
                    classifier_dropout, config.encoder.dropout));
  }
  for (const auto& [key, value] : in.json().items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) {
      config.notes.push_back(
          fmt::format("config.json: \"{}\" is not known here, and not used", key));
    }
  }
  return config;
}

namespace {

void expect_writable(const HuggingFaceConfig& config) {
  const EncoderConfig& e = config.encoder;
  std::vector<std::string> types;
  for (const Type& known : kTypes) types.emplace_back(known.name);
  if (std::find(types.begin(), types.end(), config.type) == types.end()) {
    throw ConfigError("convert", fmt::format("there is no type \"{}\"", config.type),
                      fmt::format("{}", fmt::join(types, ", ")));
  }
  const auto refuse = [](bool wrong, std::string_view what, std::string_view hint) {
    if (wrong) throw ConfigError("convert", what, hint);
  };
  constexpr const char* kNone =
      "no model of transformers computes this; train one that is like BERT";
  refuse(e.norm == NormPlacement::pre, "the model is pre-norm, BERT and RoBERTa are post-norm",
         kNone);
  refuse(e.relative_bias > 0, "the model has a learned bias by distance", kNone);
  refuse(e.degrees.learned(), "the degrees of the model are learned and not hardened",
         "give the folder of `filigree learn`, whose model is hardened, or its folder hard");
  refuse(e.max_positions == 0, "the model has no position embeddings", kNone);
  refuse(config.family() == Family::bert && e.position_offset != 0,
         fmt::format("a {} model numbers positions from 0, this one from {}", config.type,
                     e.position_offset),
         "give --type roberta");
  refuse(config.family() == Family::roberta && e.position_offset == 0,
         fmt::format("a {} model numbers positions from pad_token_id + 1, this one from 0",
                     config.type),
         "give --type bert");
}

}  // namespace

std::string write_hugging_face_config(const HuggingFaceConfig& config, HeadKind head) {
  expect_writable(config);
  const EncoderConfig& e = config.encoder;
  const auto type = std::find_if(kTypes.begin(), kTypes.end(),
                                 [&](const Type& known) { return known.name == config.type; });
  const auto end = std::find_if(kClassEnds.rbegin(), kClassEnds.rend(), [&](const ClassEnd& known) {
    return known.head == head && known.end != "ForPreTraining";
  });
  const auto activation =
      std::find_if(kActivations.begin(), kActivations.end(),
                   [&](const NamedActivation& known) { return known.activation == e.activation; });
  Json json{{"architectures", {fmt::format("{}{}", type->classes, end->end)}},
            {"model_type", config.type},
            {"vocab_size", e.vocabulary},
            {"hidden_size", e.width},
            {"num_hidden_layers", e.layers},
            {"num_attention_heads", e.heads},
            {"intermediate_size", e.ffn},
            {"max_position_embeddings", e.max_positions},
            {"type_vocab_size", std::max<int64_t>(1, e.segments)},
            {"hidden_act", activation->name},
            {"hidden_dropout_prob", e.dropout},
            {"attention_probs_dropout_prob", e.attention_dropout},
            {"layer_norm_eps", e.norm_eps},
            {"initializer_range", e.init_std},
            {"pad_token_id", std::max<int64_t>(0, e.position_offset - 1)},
            {"torch_dtype", "float32"}};
  Json names = Json::object(), ids = Json::object();
  for (size_t c = 0; c < config.label_names.size(); ++c) {
    names[std::to_string(c)] = config.label_names[c];
    ids[config.label_names[c]] = c;
  }
  if (!config.label_names.empty()) {
    json["id2label"] = names;
    json["label2id"] = ids;
  }
  return json.dump(2) + "\n";
}

}  // namespace filigree
