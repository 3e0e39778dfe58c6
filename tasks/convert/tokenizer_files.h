// The tokenizer's files of a Hugging Face folder.
#pragma once

#include <filesystem>

#include "tasks/convert/new_folder.h"
#include "tasks/convert/report.h"
#include "tasks/training/model_file.h"

namespace filigree {

/// Brings a tokenizer of `in` to `out`: the files as they are, and tokenizer.model for Filigree,
/// whose hash goes into `info`. Notes in the report what was found. `type` as in config.json.
void import_tokenizer(const std::filesystem::path& in, const std::string& type,
                      const NewFolder& out, ModelInfo& info, ConversionReport& report);
/// The files of the tokenizer beside the model file `model` to `out`.
void export_tokenizer(const std::filesystem::path& model, const ModelInfo& info,
                      const NewFolder& out, ConversionReport& report);

}  // namespace filigree
