// The built-in language: seeded English-like sentences with dependency trees and labels.
//
// docs/language.md says what each labelling asks and proves which connections it needs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace filigree {

/// What the label of a sentence depends on. Every labelling has two classes, half of the sentences
/// each. See docs/language.md.
enum class Labelling {
  local,      ///< do adjective and noun, which are adjacent, fit each other?
  syntactic,  ///< do the verbs agree with their far subjects in number?
  lexical,    ///< does one of the animals occur twice, anywhere?
  global,     ///< are there more words of praise than of blame in the whole?
  second,     ///< does the second word praise? Needs the token at distance 2 from [CLS]
  fifth,      ///< does the fifth? Distance 5
  ninth,      ///< does the ninth? Distance 9
};
/// "local", "syntactic" ..
std::string_view name_of(Labelling labelling);
/// Throws ConfigError with the nearest name.
Labelling parse_labelling(std::string_view name);
/// All of them, in this order.
std::vector<Labelling> all_labellings();

/// A word with its place in the tree.
struct LanguageWord {
  std::string form;
  std::string lemma;
  std::string part;      ///< universal part of speech: NOUN, VERB ...
  int32_t head = -1;     ///< index of the head word, -1 for the root
  std::string relation;  ///< universal dependency relation: nsubj, amod ...
};

struct LanguageSentence {
  std::vector<LanguageWord> words;
  int label = 0;  ///< 0 or 1

  /// The words with single spaces between them.
  std::string text() const;
};

struct LanguageOptions {
  Labelling labelling = Labelling::local;
  int64_t train = 6000;  ///< sentences of the train split
  int64_t dev = 1000;    ///< and of the dev split
  uint64_t seed = 1;
};

/// Names of the two classes, class 0 first. They ascend alphabetically, so that a dataset prepared
/// without a list of labels numbers them in the same way.
std::vector<std::string> label_names(Labelling labelling);

/// Sentences `first` .. `first + count - 1` of an endless sequence that is a pure function of
/// (labelling, seed): sentence i does not depend on how many are made. Sentences 2i and 2i+1 are a
/// pair with different labels, in an order drawn by lot (made of the same words, where
/// docs/language.md says so). Throws ConfigError for a negative number. Cost O(count).
std::vector<LanguageSentence> generate_sentences(Labelling labelling, uint64_t seed, int64_t first,
                                                 int64_t count);

/// Every word form that sentences may hold, sorted.
std::vector<std::string> language_vocabulary();

/// Writes `LABELLING.train.tsv`, `LABELLING.dev.tsv` (header: sentence, label) and the same
/// sentences as `LABELLING.train.conllu`, `LABELLING.dev.conllu` (with "# text" and "# label") into
/// the folder, which is made if need be. The train split is the sentences from 0 on, the dev split
/// those behind it. Returns the paths. Throws ConfigError for counts below 2 or odd, FileError.
std::vector<std::filesystem::path> write_language(const LanguageOptions& options,
                                                  const std::filesystem::path& folder);

/// The sentences in CoNLL-U (10 columns), each with "# sent_id" (LABELLING-number, counted from
/// `first`), "# text" and "# label".
std::string to_conllu(const std::vector<LanguageSentence>& sentences, Labelling labelling,
                      int64_t first = 0);

/// Two attention patterns that differ by the connection that a labelling needs. For an encoder of
/// two layers without position embeddings or relative bias, pooled at the first token, over [CLS]
/// sentence [SEP] with one token a word:
///   - under `without` no parameters whatever tell the two sentences of a pair apart, so that
///     exactly half of the sentences are classified rightly (proof in docs/language.md);
///   - under `with` the label can be learnt.
struct NeededConnection {
  std::string with, without;  ///< pattern texts
};
NeededConnection needed_connection(Labelling labelling);

}  // namespace filigree
