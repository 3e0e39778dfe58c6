// config.json of a Hugging Face model: what Filigree can compute of it, and back.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "nn/encoder_config.h"

namespace filigree {

/// What tells the architectures apart: positions and the names of heads.
enum class Family : uint8_t { bert, roberta };

/// What stands on the encoder.
enum class HeadKind : uint8_t { none, classification, masked_lm, span, tags };
std::string_view name_of(HeadKind head);
/// Throws ConfigError with the nearest name.
HeadKind parse_head(std::string_view name);

struct HuggingFaceConfig {
  std::string type;  ///< "bert", "roberta", "camembert" or "xlm-roberta"
  EncoderConfig encoder;
  std::string architecture;              ///< "BertForMaskedLM"; "" if the file names none
  std::vector<std::string> label_names;  ///< in order of their ids; empty if the file names none
  std::vector<std::string> notes;        ///< keys that bear on nothing here

  Family family() const { return type == "bert" ? Family::bert : Family::roberta; }
};

/// Throws CheckpointError for what is no such file, an architecture other than BERT, RoBERTa,
/// CamemBERT and XLM-RoBERTa, and every setting that would change the result and that Filigree does
/// not compute (relative positions, decoders, other activations ...), naming the setting.
HuggingFaceConfig read_hugging_face_config(const std::filesystem::path& file);

/// The text of config.json. `config.type`, encoder and label_names are written; the architecture is
/// that of the head. Throws ConfigError for an encoder that no such model is: pre-norm, learned
/// bias by distance, no positions, a type that does not fit the numbering of positions.
std::string write_hugging_face_config(const HuggingFaceConfig& config, HeadKind head);

/// The head that a class of transformers has ("BertForMaskedLM": masked_lm). Throws CheckpointError
/// at `where` for a class that is not known here.
HeadKind head_of_architecture(std::string_view architecture, std::string_view where);

}  // namespace filigree
