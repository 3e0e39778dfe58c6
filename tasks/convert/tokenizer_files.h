// The tokenizer's files of a Hugging Face folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tasks/convert/new_folder.h"
#include "tasks/convert/report.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tasks/training/model_file.h"

namespace filigree {

/// Brings a tokenizer of `in` to `out`: the files as they are, and tokenizer.model for Filigree,
/// whose hash goes into `info`. Notes in the report what was found. `type` as in config.json.
/// Throws CheckpointError if `info` names another tokenizer already.
void import_tokenizer(const std::filesystem::path& in, const std::string& type,
                      const NewFolder& out, ModelInfo& info, ConversionReport& report);

/// The tokenizer.model that is with the model file `model`, if there is one. Throws DataError if it
/// is another model's.
std::optional<Tokenizer> tokenizer_beside(const std::filesystem::path& model,
                                          const ModelInfo& info);
/// The model_type of a model on its way out: "bert", or where positions are numbered as in RoBERTa
/// the type whose ids the tokenizer (null: none) has: "camembert", "xlm-roberta", else "roberta".
std::string type_for(const ModelInfo& info, const Tokenizer* tokenizer);
/// The model's tokenizer to `out`: tokenizer.model, and for transformers the files beside `model`
/// that are the same tokenizer, else such files written from it. `type` as in config.json.
void export_tokenizer(const std::filesystem::path& model, const Tokenizer* tokenizer,
                      const ModelInfo& info, const std::string& type, const NewFolder& out,
                      ConversionReport& report);

}  // namespace filigree
