// What a trained model can be given: datasets and texts that fit it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "tasks/dataset/dataset.h"
#include "tasks/dataset/sample.h"
#include "tasks/syntax/parse_texts.h"
#include "tasks/training/model_file.h"

namespace filigree {

/// Throws DataError at `where` unless a tokenizer, by its hash, is the model's. A model that came
/// without its tokenizer has no hash: then the sizes of the vocabularies must be equal.
void expect_tokenizer(const ModelInfo& info, std::string_view where, std::string_view hash,
                      int64_t vocabulary, std::string_view hint);

/// Throws DataError unless the dataset was made with the model's tokenizer, holds pairs if the
/// model takes pairs, and no sample is longer than the model's positions.
void expect_fits(const ModelInfo& info, const TokenDataset& dataset);

/// The model's tokenizer from a file. Throws DataError if it is another one.
Tokenizer load_tokenizer(const ModelInfo& info, const std::filesystem::path& file);

/// A line of text as a sample, cut to the model's positions: a text, or two with a tab between them
/// if the model takes pairs. `syntax` as in make_sample(). Throws DataError at `where`.
Sample sample_of_line(const ModelInfo& info, const Tokenizer& tokenizer, std::string_view where,
                      const std::string& line, std::span<const Syntax> syntax = {});

/// The same with the syntax that a parser finds in the text, or in both.
Sample sample_of_line(const ModelInfo& info, const Tokenizer& tokenizer, std::string_view where,
                      const std::string& line, TextParser& parser);

}  // namespace filigree
