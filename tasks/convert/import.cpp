#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <set>

#include "core/error.h"
#include "nn/classifier.h"
#include "nn/masked_lm.h"
#include "nn/token_classifier.h"
#include "tasks/convert/attention_file.h"
#include "tasks/convert/conversion.h"
#include "tasks/convert/hugging_face_names.h"
#include "tasks/convert/hugging_face_weights.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

constexpr const char* kTable = "embeddings.word_embeddings.weight";

/// An encoder without a head, with BERT's pooler if it has one.
class Body final : public Module {
 public:
  Body(const EncoderConfig& config, bool pooler) : encoder_(config) {
    add_child("encoder", encoder_);
    if (!pooler) return;
    pooler_ = std::make_unique<Linear>(config.width, config.width, DType::f32);
    add_child("pooler", *pooler_);
  }

 private:
  Encoder encoder_;
  std::unique_ptr<Linear> pooler_;
};

/// The parameters that BERT and RoBERTa spell in two ways, since the decoder is tied.
constexpr std::pair<const char*, const char*> kAliases[] = {
    {"cls.predictions.decoder.bias", "cls.predictions.bias"},
    {"lm_head.decoder.bias", "lm_head.bias"}};
constexpr const char* kDecoders[] = {"cls.predictions.decoder.weight", "lm_head.decoder.weight"};

bool same_values(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

class Importer {
 public:
  Importer(const fs::path& folder, const ImportOptions& options)
      : folder_(folder),
        options_(options),
        config_(read_hugging_face_config(folder / "config.json")),
        weights_(folder) {}

  ImportedModel run() {
    expect_sizes();
    result_.report.notes = config_.notes;
    result_.type = config_.type;
    result_.head = choose_head();
    fill_info();
    take_parameters();
    account_for_the_rest();
    if (!faults_.empty()) {
      throw CheckpointError(folder_.string(), "the weights do not fit config.json:" + faults_,
                            "tensors that Filigree has no place for are left out with "
                            "--skip-unknown; all others must be there");
    }
    name_what_is_new();
    return std::move(result_);
  }

 private:
  std::string name_of_ours(const char* ours, HeadKind head) const {
    return their_names(ours, config_.family(), head).front();
  }
  bool has(const char* ours, HeadKind head) const {
    return weights_.contains(name_of_ours(ours, head));
  }

  /// The sizes of config.json against the weights, before anything of these sizes is made: throws
  /// CheckpointError naming the key. What is larger in the weights, in layers, is left to the list
  /// of what has no place.
  void expect_sizes() const {
    const EncoderConfig& e = config_.encoder;
    expect_size("vocab_size", e.vocabulary, kTable, 0);
    expect_size("hidden_size", e.width, kTable, 1);
    expect_size("max_position_embeddings", e.max_positions, "embeddings.position_embeddings.weight",
                0);
    if (e.segments > 0)
      expect_size("type_vocab_size", e.segments, "embeddings.token_type_embeddings.weight", 0);
    std::set<int64_t> layers;
    for (const std::string& name : weights_.names()) {
      constexpr std::string_view kLayer = "encoder.layer.";
      int64_t layer = 0;
      if (!name.starts_with(kLayer)) continue;
      std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), layer);
      layers.insert(layer);
    }
    if (e.layers > std::ssize(layers)) {
      throw_size("num_hidden_layers", e.layers,
                 fmt::format("the {} layers of the weights", layers.size()));
    }
    if (e.layers == 0) return;
    expect_size("intermediate_size", e.ffn, "encoder.layer.0.intermediate.dense.weight", 0);
  }
  void expect_size(const char* key, int64_t size, const char* name, size_t dimension) const {
    if (!weights_.contains(name)) {
      throw CheckpointError(
          folder_.string(),
          fmt::format("the weights do not fit config.json:\n  missing    {}", name),
          "take another copy");
    }
    const Shape& shape = weights_.shape(name);
    if (shape.rank() == 2 && shape[dimension] == size) return;
    throw_size(key, size, fmt::format("that of {} {}", weights_.spelling(name), to_string(shape)));
  }
  [[noreturn]] void throw_size(const char* key, int64_t size, const std::string& wanted) const {
    throw CheckpointError((folder_ / "config.json").string(),
                          fmt::format("{}: expected {}, got {}", key, wanted, size),
                          "config.json and the weights are of different models; take another copy");
  }

  HeadKind choose_head() const {
    if (options_.head) return *options_.head;
    if (!config_.architecture.empty()) {
      return head_of_architecture(config_.architecture, (folder_ / "config.json").string());
    }
    if (has("masked_lm.transform.weight", HeadKind::masked_lm)) return HeadKind::masked_lm;
    if (has("classifier.weight", HeadKind::span)) return HeadKind::span;
    if (has("classifier.weight", HeadKind::classification) &&
        has("pooler.weight", HeadKind::classification)) {
      return HeadKind::classification;
    }
    return has("classifier.weight", HeadKind::tags) ? HeadKind::tags : HeadKind::none;
  }

  /// By the weights, else by the names of the classes.
  int64_t outputs() const {
    const std::string name = name_of_ours("classifier.weight", result_.head);
    const bool known = weights_.contains(name) && weights_.shape(name).rank() == 2;
    const int64_t count =
        known ? weights_.shape(name)[0] : static_cast<int64_t>(config_.label_names.size());
    return std::max<int64_t>(1, count);
  }

  void fill_info() {
    expect_same_head(config_.encoder, config_.family(), result_.head);
    ModelInfo& info = result_.info;
    info.encoder = config_.encoder;
    info.pool = Pool::first;
    if (result_.head == HeadKind::classification || result_.head == HeadKind::tags) {
      info.label_names = config_.label_names;
      const int64_t count = outputs();
      if (info.label_names.empty()) {  // what transformers calls them
        for (int64_t c = 0; c < count; ++c) info.label_names.push_back(fmt::format("LABEL_{}", c));
      }
      if (std::ssize(info.label_names) != count) {
        faults_ += fmt::format("\n  misshapen  {}: {} outputs, but id2label names {} classes",
                               name_of_ours("classifier.weight", result_.head), count,
                               info.label_names.size());
      }
    }
    info.task = task_of(result_.head, outputs());
    if (info.task == "regression") info.label_names.clear();
    info.pairs = options_.pairs;
    read_attention_file(folder_, info);
  }

  /// Reads every parameter of ours from the rows of theirs.
  void take_parameters() {
    const bool pooler = result_.head == HeadKind::none && has("pooler.weight", result_.head);
    const auto module = make_module(config_.encoder, result_.head, outputs(), pooler);
    for (auto& [ours, parameter, kind] : module->named_parameters()) {
      take_parameter(ours, parameter.value());
    }
  }

  void take_parameter(const std::string& ours, const Tensor& like) {
    std::vector<std::string> theirs = their_names(ours, config_.family(), result_.head);
    for (std::string& name : theirs) name = with_alias(name);
    const int64_t rows = like.size(0) / std::ssize(theirs);
    const Shape wanted = like.shape().with(0, rows);
    bool whole = true;
    for (const std::string& name : theirs) {
      used_.insert(name);
      if (!weights_.contains(name)) {
        faults_ += fmt::format("\n  missing    {}", name);
        whole = false;
      } else if (weights_.shape(name) != wanted) {
        faults_ += fmt::format("\n  misshapen  {}: expected {}, got {}", weights_.spelling(name),
                               to_string(wanted), to_string(weights_.shape(name)));
        whole = false;
      }
    }
    if (!whole) return;
    Tensor value(like.shape());
    std::string sources;
    for (size_t k = 0; k < theirs.size(); ++k) {
      value.slice(static_cast<int64_t>(k) * rows, rows).copy_from(weights_.f32(theirs[k]));
      sources += (k == 0 ? "" : " + ") + weights_.spelling(theirs[k]);
    }
    result_.weights[ours] = value;
    result_.report.mapped.emplace_back(sources, ours);
  }

  /// The spelling that the file has, of a parameter with two.
  std::string with_alias(const std::string& name) const {
    for (const auto& [alias, usual] : kAliases) {
      if (name == usual && !weights_.contains(name) && weights_.contains(alias)) return alias;
    }
    return name;
  }

  void account_for_the_rest() {
    for (const std::string& name : weights_.names()) {
      if (used_.contains(name)) continue;
      const std::string why = reason_to_skip(name);
      if (!why.empty()) {
        result_.report.skipped.push_back(weights_.spelling(name) + ": " + why);
      } else if (options_.skip_unknown) {
        result_.report.skipped.push_back(weights_.spelling(name) + ": no place for it here");
      } else {
        faults_ += fmt::format("\n  unknown    {} {}", weights_.spelling(name),
                               to_string(weights_.shape(name)));
      }
    }
  }

  /// Why a tensor has no place in our model; "" if that is not known.
  std::string reason_to_skip(const std::string& name) {
    if (name == "embeddings.position_ids" || name == "embeddings.token_type_ids") {
      return "a buffer, not a parameter";
    }
    for (const char* decoder : kDecoders) {
      if (name != decoder) continue;
      if (result_.head != HeadKind::masked_lm) return "the head is left out";
      if (weights_.contains(kTable) && same_values(weights_.f32(name), weights_.f32(kTable))) {
        return "tied to the embeddings";
      }
      faults_ += fmt::format("\n  not tied   {} differs from {}", weights_.spelling(name), kTable);
      return "not tied";
    }
    for (const auto& [alias, usual] : kAliases) {
      if (name == alias && weights_.contains(usual) &&
          same_values(weights_.f32(alias), weights_.f32(usual))) {
        return fmt::format("the same as {}", usual);
      }
    }
    if (name.starts_with("pooler.dense.")) {
      return config_.family() == Family::roberta && result_.head == HeadKind::classification
                 ? "RoBERTa's classifier has a dense layer of its own"
                 : fmt::format("the head {} does not pool; --head none keeps it",
                               name_of(result_.head));
    }
    if (name.starts_with("cls.seq_relationship.")) return "next-sentence prediction";
    for (const char* head : {"cls.predictions.", "lm_head.", "classifier.", "qa_outputs."}) {
      if (name.starts_with(head) && result_.head == HeadKind::none) return "the head is left out";
    }
    if (options_.head && !is_body_name(name) && !name.starts_with(head_prefix())) {
      return "another head";
    }
    return "";
  }

  /// What the names of the chosen head begin with.
  std::string head_prefix() const {
    const char* ours = result_.head == HeadKind::masked_lm ? "masked_lm.bias" : "classifier.weight";
    const std::string name = name_of_ours(ours, result_.head);
    return name.substr(0, name.find('.') + 1);
  }

  void name_what_is_new() {
    if (result_.head != HeadKind::none) return;
    if (!result_.weights.contains("pooler.weight")) {
      result_.report.left_new.push_back("pooler.weight, pooler.bias: for classification");
    }
    result_.report.left_new.push_back("the head: for every task");
  }

  fs::path folder_;
  ImportOptions options_;
  HuggingFaceConfig config_;
  HuggingFaceWeights weights_;
  ImportedModel result_;
  std::set<std::string> used_;  // their canonical names
  std::string faults_;
};

}  // namespace

std::string task_of(HeadKind head, int64_t outputs) {
  switch (head) {
    case HeadKind::classification:
      return outputs == 1 ? "regression" : "classification";
    case HeadKind::masked_lm:
      return "masked_lm";
    case HeadKind::span:
      return "qa";
    case HeadKind::tags:
      return "tagging";
    case HeadKind::none:
      break;
  }
  return "none";
}

std::unique_ptr<Module> make_module(const EncoderConfig& config, HeadKind head, int64_t outputs,
                                    bool pooler) {
  switch (head) {
    case HeadKind::classification:
      return std::make_unique<SequenceClassifier>(config, outputs, Pool::first);
    case HeadKind::masked_lm:
      return std::make_unique<MaskedLm>(config);
    case HeadKind::span:
    case HeadKind::tags:
      return std::make_unique<TokenClassifier>(config, outputs);
    case HeadKind::none:
      break;
  }
  return std::make_unique<Body>(config, pooler);
}

ImportedModel import_hugging_face(const fs::path& folder, const ImportOptions& options) {
  return Importer(folder, options).run();
}

void expect_same_head(const EncoderConfig& config, Family family, HeadKind head) {
  if (family == Family::roberta && head == HeadKind::masked_lm &&
      config.activation != Activation::gelu_erf) {
    throw ConfigError("convert",
                      "RoBERTa's masked_lm head has the exact GELU, whatever the encoder has; ours "
                      "has the encoder's activation",
                      "--head none converts the encoder alone");
  }
}

}  // namespace filigree
