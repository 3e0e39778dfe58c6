// A model on its way between Filigree and Hugging Face.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "tasks/convert/hugging_face_config.h"
#include "tasks/convert/report.h"
#include "tasks/training/model_file.h"

namespace filigree {

struct ImportOptions {
  std::optional<HeadKind> head;  ///< the head to keep; nothing: the one of the architecture
  bool skip_unknown = false;     ///< leave out tensors that have no place here
  bool pairs = false;            ///< the model takes pairs of texts, which no file says
};

struct ImportedModel {
  HeadKind head = HeadKind::none;
  std::string type;  ///< model_type
  ModelInfo info;
  StateDict weights;  ///< f32, by our names
  ConversionReport report;
};

/// Reads config.json and weights of a folder of BERT, RoBERTa, CamemBERT or XLM-RoBERTa. Strict:
/// every parameter of our model must be there in its shape, and every tensor of theirs must have a
/// place or a known reason to have none; else CheckpointError lists them all. Cost: reads the files
/// once.
ImportedModel import_hugging_face(const std::filesystem::path& folder,
                                  const ImportOptions& options = {});

/// The task that a model with this head is for; "none" for a bare encoder.
std::string task_of(HeadKind head, int64_t outputs);
/// The head of a model of ours, by its task. Throws
/// ConfigError for a task whose head transformers does not have.
HeadKind head_of(const ModelInfo& info, const StateDict& weights);

/// A module whose parameters are those of an encoder with this head, all zero (norms one).
/// `outputs` of the head where it has any; `pooler`: a bare encoder keeps BERT's pooler.
std::unique_ptr<Module> make_module(const EncoderConfig& config, HeadKind head, int64_t outputs,
                                    bool pooler);

struct ExportOptions {
  std::string type;  ///< model_type; "": by the numbering of positions and the tokenizer's ids
};

/// Writes config.json and model.safetensors (f32) of a model of ours into an existing folder: what
/// `transformers` loads without a missing or an unexpected name. What transformers has no place for
/// goes to filigree.json. Throws ConfigError for a model that no class of transformers computes.
ConversionReport export_hugging_face(const ModelInfo& info, const StateDict& weights,
                                     const ExportOptions& options,
                                     const std::filesystem::path& folder);

/// Throws ConfigError if transformers computes this head otherwise: RoBERTa's masked_lm always has
/// the exact GELU.
void expect_same_head(const EncoderConfig& config, Family family, HeadKind head);

}  // namespace filigree
