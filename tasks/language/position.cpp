// "lovely shabby poor kind .. ." is labelled by what its word number `place` says. The other
// sentence of the pair has that word and a later one of the contrary opinion exchanged: the words
// are the same, and so are the first place - 1 of them.
#include <utility>

#include "tasks/language/sentence_builder.h"

namespace filigree::language {

namespace {

constexpr size_t kOpinions = 16;  // words of a sentence

LanguageSentence sentence_of(const std::vector<std::string_view>& words, int label) {
  SentenceBuilder s;
  const int32_t root = s.add(words[0], "ADJ");
  for (size_t k = 1; k < words.size(); ++k) s.attach(s.add(words[k], "ADJ"), root, "conj");
  return s.finish(root, label);
}

}  // namespace

Pair position_pair(size_t place, RandomStream& random) {
  std::vector<std::string_view> words;
  std::vector<bool> praises;
  for (size_t k = 0; k < kOpinions; ++k) {
    praises.push_back(random.below(2) == 0);
    words.push_back(praises[k] ? pick(praise(), random) : pick(blame(), random));
  }
  const size_t asked = place - 1, other = place + random.below(kOpinions - place);
  if (praises[other] == praises[asked]) {
    words[other] = praises[asked] ? pick(blame(), random) : pick(praise(), random);
  }
  std::vector<std::string_view> exchanged = words;
  std::swap(exchanged[asked], exchanged[other]);
  if (praises[asked]) std::swap(words, exchanged);
  return {sentence_of(words, 0), sentence_of(exchanged, 1)};
}

}  // namespace filigree::language
