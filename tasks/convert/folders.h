// Whole folders from Hugging Face to Filigree and back.
#pragma once

#include <filesystem>

#include "tasks/convert/conversion.h"

namespace filigree {

/// True for a folder with a config.json: one of transformers.
bool is_hugging_face(const std::filesystem::path& path);

/// Writes the folder `out` from `in`, whole or not at all: model.safetensors of ours, the tokenizer
/// as tokenizer.model, and the files of the tokenizer as they were. Throws FileError if `out`
/// exists, and what import_hugging_face() throws.
ConversionReport convert_from_hugging_face(const std::filesystem::path& in,
                                           const std::filesystem::path& out,
                                           const ImportOptions& options);

/// Writes the folder `out` from a model file of ours, or the folder of a run or a converted model:
/// config.json, model.safetensors, filigree.json and files of the tokenizer. Throws FileError if
/// `out` exists, and what export_hugging_face() throws.
ConversionReport convert_to_hugging_face(const std::filesystem::path& in,
                                         const std::filesystem::path& out,
                                         const ExportOptions& options);

}  // namespace filigree
