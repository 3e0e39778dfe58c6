// Datasets of the built-in language, for tests.
#pragma once

#include <string>

#include "tasks/dataset/prepare.h"
#include "tasks/language/language.h"
#include "tests/temporary_folder.h"

namespace filigree::testing {

/// Writes sentences of a labelling and their datasets `train` and `dev`, one token a word, into the
/// folder.
inline void prepare_language(const TemporaryFolder& folder, Labelling labelling, int64_t train,
                             int64_t dev) {
  LanguageOptions options;
  options.labelling = labelling;
  options.train = train;
  options.dev = dev;
  write_language(options, folder.path());
  TokenizerOptions words;
  words.kind = TokenizerKind::word;
  const Tokenizer tokenizer = Tokenizer::train(words, language_vocabulary());
  for (const std::string split : {"train", "dev"}) {
    prepare(folder.path() / (std::string(name_of(labelling)) + "." + split + ".tsv"), tokenizer, {},
            folder.path() / split);
  }
}

}  // namespace filigree::testing
