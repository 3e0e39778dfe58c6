// Puts a sentence together, word by word with its place in the tree. Private to tasks/language.
#pragma once

#include <string_view>
#include <vector>

#include "core/random.h"
#include "tasks/language/language.h"
#include "tasks/language/lexicon.h"

namespace filigree::language {

class SentenceBuilder {
 public:
  /// Adds a word; its head may be set later by attach(). Returns its index.
  int32_t add(std::string_view form, std::string_view lemma, std::string_view part);
  int32_t add(std::string_view form, std::string_view part) { return add(form, form, part); }
  void attach(int32_t word, int32_t head, std::string_view relation);
  /// "the" or "a", adjectives, noun; returns the noun.
  int32_t noun_phrase(std::string_view article, std::initializer_list<std::string_view> adjectives,
                      std::string_view noun, std::string_view lemma = "");
  /// Preposition and noun phrase, attached to `head` as obl; returns the noun.
  int32_t prepositional(std::string_view preposition, std::string_view article,
                        std::initializer_list<std::string_view> adjectives, std::string_view noun,
                        int32_t head);
  /// Closes with a full stop and makes `root` the root.
  LanguageSentence finish(int32_t root, int label);

 private:
  LanguageSentence sentence_;
};

/// One of them, by lot.
template <class List>
auto pick(const List& list, RandomStream& random) {
  return list[random.below(list.size())];
}

/// `count` different ones, by lot, in random order.
std::vector<std::string_view> pick_different(Words words, size_t count, RandomStream& random);

// One function a labelling: both sentences of a pair, class 0 first.
using Pair = std::array<LanguageSentence, 2>;
Pair local_pair(RandomStream& random);
Pair syntactic_pair(RandomStream& random);
Pair lexical_pair(RandomStream& random);
Pair global_pair(RandomStream& random);
Pair position_pair(size_t place, RandomStream& random);

}  // namespace filigree::language
