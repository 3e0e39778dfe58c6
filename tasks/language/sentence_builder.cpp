#include "tasks/language/sentence_builder.h"

#include <algorithm>

namespace filigree::language {

int32_t SentenceBuilder::add(std::string_view form, std::string_view lemma, std::string_view part) {
  sentence_.words.push_back({std::string(form), std::string(lemma), std::string(part), -1, "root"});
  return static_cast<int32_t>(sentence_.words.size()) - 1;
}

void SentenceBuilder::attach(int32_t word, int32_t head, std::string_view relation) {
  sentence_.words[static_cast<size_t>(word)].head = head;
  sentence_.words[static_cast<size_t>(word)].relation = relation;
}

int32_t SentenceBuilder::noun_phrase(std::string_view article,
                                     std::initializer_list<std::string_view> adjectives,
                                     std::string_view noun, std::string_view lemma) {
  const int32_t first = add(article, "DET");
  for (const std::string_view adjective : adjectives) add(adjective, "ADJ");
  const int32_t head = add(noun, lemma.empty() ? noun : lemma, "NOUN");
  attach(first, head, "det");
  for (int32_t i = first + 1; i < head; ++i) attach(i, head, "amod");
  return head;
}

int32_t SentenceBuilder::prepositional(std::string_view preposition, std::string_view article,
                                       std::initializer_list<std::string_view> adjectives,
                                       std::string_view noun, int32_t head) {
  const int32_t marker = add(preposition, "ADP");
  const int32_t object = noun_phrase(article, adjectives, noun);
  attach(marker, object, "case");
  attach(object, head, "obl");
  return object;
}

LanguageSentence SentenceBuilder::finish(int32_t root, int label) {
  attach(add(".", "PUNCT"), root, "punct");
  attach(root, -1, "root");
  sentence_.label = label;
  return std::move(sentence_);
}

std::vector<std::string_view> pick_different(Words words, size_t count, RandomStream& random) {
  std::vector<std::string_view> all(words.begin(), words.end());
  for (size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random.below(all.size() - i)]);
  all.resize(count);
  return all;
}

}  // namespace filigree::language
