#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"
#include "tasks/convert/attention_file.h"
#include "tasks/convert/conversion.h"
#include "tasks/convert/hugging_face_names.h"
#include "tasks/convert/tokenizer_files.h"

namespace filigree {

namespace {

constexpr const char* kSegments = "encoder.embeddings.segment.weight";

void expect_first_token(const ModelInfo& info, HeadKind head) {
  if (head != HeadKind::classification || info.pool == Pool::first) return;
  throw ConfigError("convert", "the model pools the mean, BERT and RoBERTa the first token",
                    "train with --model.pool first");
}

/// Names with three of theirs to one of ours need rows in thirds; a damaged file may lack them.
void expect_parameters(const Module& module, const StateDict& weights) {
  std::string faults;
  std::set<std::string> known;
  for (const auto& [name, parameter, kind] : module.named_parameters()) {
    known.insert(name);
    const auto found = weights.find(name);
    if (found == weights.end()) {
      faults += "\n  missing    " + name;
    } else if (found->second.shape() != parameter.shape()) {
      faults += fmt::format("\n  misshapen  {}: expected {}, got {}", name,
                            to_string(parameter.shape()), to_string(found->second.shape()));
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!known.contains(name)) faults += "\n  unexpected " + name;
  }
  if (!faults.empty()) {
    throw CheckpointError("convert", "the model file does not hold what it describes:" + faults,
                          "the file is damaged; take another copy");
  }
}

class Exporter {
 public:
  Exporter(const ModelInfo& info, const StateDict& weights, const ExportOptions& options)
      : info_(info), weights_(weights), head_(head_of(info, weights)) {
    config_.type = options.type.empty() ? type_for(info, nullptr) : options.type;
    config_.encoder = info.encoder;
    config_.label_names = info.label_names;
    if (info.task == "regression") config_.label_names = {"LABEL_0"};
  }

  ConversionReport run(const std::filesystem::path& folder) {
    // Everything that can be refused comes first.
    const std::string text = write_hugging_face_config(config_, head_);
    expect_same_head(info_.encoder, config_.family(), head_);
    expect_first_token(info_, head_);
    const auto classifier = weights_.find("classifier.bias");
    const int64_t outputs = classifier == weights_.end() ? 1 : classifier->second.numel();
    const auto module =
        make_module(info_.encoder, head_, outputs, weights_.contains("pooler.weight"));
    expect_parameters(*module, weights_);

    SafetensorsWriter writer;
    writer.metadata("format", "pt");
    for (const auto& [ours, tensor] : weights_) add(ours, tensor.to(DType::f32), writer);
    if (!weights_.contains(kSegments)) add_segments(writer);
    write_file(folder / "config.json", text);
    writer.save(folder / "model.safetensors");
    write_attention_file(folder, info_);
    add_notes();
    return std::move(report_);
  }

 private:
  void add(const std::string& ours, const Tensor& value, SafetensorsWriter& writer) {
    const std::vector<std::string> theirs = their_names(ours, config_.family(), head_);
    const int64_t rows = value.size(0) / std::ssize(theirs);
    std::string names;
    for (size_t k = 0; k < theirs.size(); ++k) {
      const std::string name = spelling(theirs[k]);
      writer.add(name, value.slice(static_cast<int64_t>(k) * rows, rows));
      names += (k == 0 ? "" : " + ") + name;
    }
    report_.mapped.emplace_back(ours, names);
  }
  /// transformers always adds a row for the segment: without segments one of zeros.
  void add_segments(SafetensorsWriter& writer) {
    const std::string name = spelling(their_names(kSegments, config_.family(), head_).front());
    writer.add(name, Tensor::zeros({1, info_.encoder.width}));
    report_.notes.push_back(fmt::format("{} is one row of zeros: the model has no segments", name));
  }
  std::string spelling(const std::string& canonical) const {
    return is_body_name(canonical)
               ? fmt::format("{}{}", body_prefix(config_.family(), head_), canonical)
               : canonical;
  }
  void add_notes() {
    if (info_.pattern != "dense") {
      report_.notes.push_back(
          fmt::format("transformers computes dense attention, the model's is \"{}\": its outputs "
                      "will differ. filigree.json keeps the pattern",
                      info_.pattern));
    }
    if (info_.dtype == DType::f64) report_.notes.push_back("weights of f64 were rounded to f32");
    if (head_ == HeadKind::none && !weights_.contains("pooler.weight")) {
      report_.notes.push_back(
          "there is no pooler: load it with from_pretrained(FOLDER, add_pooling_layer=False)");
    }
  }

  const ModelInfo& info_;
  const StateDict& weights_;
  HeadKind head_;
  HuggingFaceConfig config_;
  ConversionReport report_;
};

}  // namespace

HeadKind head_of(const ModelInfo& info, const StateDict& weights) {
  const auto classifier = weights.find("classifier.bias");
  const int64_t outputs = classifier == weights.end() ? 1 : classifier->second.numel();
  for (const HeadKind head : {HeadKind::none, HeadKind::classification, HeadKind::masked_lm,
                              HeadKind::span, HeadKind::tags}) {
    if (task_of(head, outputs) == info.task) return head;
  }
  throw ConfigError("convert",
                    fmt::format("no class of transformers is for the task {}", info.task));
}

ConversionReport export_hugging_face(const ModelInfo& info, const StateDict& weights,
                                     const ExportOptions& options,
                                     const std::filesystem::path& folder) {
  return Exporter(info, weights, options).run(folder);
}

}  // namespace filigree
