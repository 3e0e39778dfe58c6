// Tokenizers of the committed vocabularies (tests/tasks/data/tokenizers).
#pragma once

#include <filesystem>
#include <string>

#include "core/file.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree::testing {

inline std::filesystem::path vocabulary_folder() {
  return std::filesystem::path(FILIGREE_SOURCE_DIR) / "tests/tasks/data/tokenizers";
}

/// `kind`: wordpiece-cased, wordpiece-uncased, bytebpe, or a layout of the SentencePiece model.
inline Tokenizer import_kind(const std::string& kind) {
  const auto file = [](const std::string& name) { return read_file(vocabulary_folder() / name); };
  if (kind == "wordpiece-cased" || kind == "wordpiece-uncased") {
    return Tokenizer::import_wordpiece(file(kind + ".txt"),
                                       {.lower_case = kind == "wordpiece-uncased"});
  }
  if (kind == "bytebpe") {
    return Tokenizer::import_bytebpe(file("bytebpe-vocab.json"), file("bytebpe-merges.txt"));
  }
  return Tokenizer::import_sentencepiece(file("unigram.model"), parse_sentencepiece_layout(kind));
}

inline constexpr const char* kImportedKinds[] = {
    "wordpiece-uncased", "wordpiece-cased", "bytebpe", "plain", "camembert", "xlm-roberta"};

/// Name of a parametrised test.
inline std::string test_name(std::string kind) {
  for (char& c : kind) c = c == '-' ? '_' : c;
  return kind;
}

}  // namespace filigree::testing
