// Small datasets for the tests of tasks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/file.h"
#include "nn/encoder_config.h"
#include "tasks/dataset/batch.h"
#include "tasks/dataset/prepare.h"
#include "tests/temporary_folder.h"

namespace filigree::testing {

/// A tokenizer of the words a to h and "don't".
inline Tokenizer word_tokenizer() {
  TokenizerOptions options;
  options.kind = TokenizerKind::word;
  return Tokenizer::train(options, std::vector<std::string>{"a b c d e f g h do n't don't"});
}

/// Prepares a file with this content; the dataset is FOLDER/out.
inline PrepareReport prepare_content(const TemporaryFolder& folder, const std::string& name,
                                     const std::string& content, const PrepareOptions& options) {
  write_file(folder / name, content);
  return prepare(folder / name, word_tokenizer(), options, folder / "out");
}

inline PrepareOptions options_for(const std::string& task, const std::string& label) {
  PrepareOptions options;
  options.task = task;
  options.label = label;
  return options;
}

/// All samples of a dataset.
inline Batch whole_batch(const TokenDataset& data) {
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < data.size(); ++i) samples.push_back(i);
  return make_batch(data, samples);
}

/// One layer of width 8 for the pieces of a dataset.
inline EncoderConfig tiny_encoder(const TokenDataset& data) {
  EncoderConfig config;
  config.vocabulary = data.info().vocabulary;
  config.width = 8;
  config.layers = 1;
  config.heads = 2;
  config.ffn = 8;
  return config;
}

/// A word of a tree in CoNLL-U, without head but for the first.
inline std::string conllu_word(int number, const std::string& form, const std::string& tag) {
  return std::to_string(number) + "\t" + form + "\t_\t" + tag + "\t_\t_\t" +
         (number == 1 ? "0\troot" : "1\tdep") + "\t_\t_\n";
}

}  // namespace filigree::testing
