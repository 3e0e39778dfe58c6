// filigree.json: what a Hugging Face folder has no place for.
#pragma once

#include <filesystem>

#include "tasks/training/model_file.h"

namespace filigree {

/// Writes filigree.json, and filigree_vectors.safetensors if the attention compares token vectors:
/// attention pattern, seed, pairs, tokenizer.
void write_attention_file(const std::filesystem::path& folder, const ModelInfo& info);
/// Takes from these files, if they are there. Throws CheckpointError if they are damaged.
void read_attention_file(const std::filesystem::path& folder, ModelInfo& info);

}  // namespace filigree
