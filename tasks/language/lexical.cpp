// "we waited near the old mill all night , and met a fox , a dog , a crow and a fox ." names one
// animal twice; with one of the two exchanged for another all are different. The first eight words
// are the same in both sentences.
#include "tasks/language/sentence_builder.h"

namespace filigree::language {

Pair lexical_pair(RandomStream& random) {
  const Lexeme verb = pick(resting(), random), met = pick(meeting(), random);
  const std::string_view preposition = pick(where(), random), place = pick(places(), random);
  const std::string_view look = pick(neutral_adjectives(), random), time = pick(times(), random);
  constexpr size_t kNamed = 4;
  const auto different = pick_different(animals(), kNamed, random);
  const size_t copy = random.below(kNamed);
  const size_t original = (copy + 1 + random.below(kNamed - 1)) % kNamed;
  const auto make = [&](int label) {
    std::vector<std::string_view> named = different;
    if (label == 1) named[copy] = named[original];
    SentenceBuilder s;
    const int32_t subject = s.add("we", "PRON");
    const int32_t root = s.add(verb.form, verb.lemma, "VERB");
    s.attach(subject, root, "nsubj");
    s.prepositional(preposition, "the", {look}, place, root);
    const int32_t all = s.add("all", "DET"), when = s.add(time, "NOUN");
    s.attach(all, when, "det");
    s.attach(when, root, "obl:tmod");
    const int32_t comma = s.add(",", "PUNCT"), join = s.add("and", "CCONJ");
    const int32_t second = s.add(met.form, met.lemma, "VERB");
    s.attach(comma, second, "punct");
    s.attach(join, second, "cc");
    s.attach(second, root, "conj");
    int32_t object = -1;
    for (size_t k = 0; k < kNamed; ++k) {
      int32_t mark = -1;
      if (k > 0) {
        mark = k + 1 == kNamed ? s.add("and", "CCONJ") : s.add(",", "PUNCT");
      }
      const int32_t noun = s.noun_phrase("a", {}, named[k]);
      if (k == 0) {
        s.attach(object = noun, second, "obj");
      } else {
        s.attach(noun, object, "conj");
        s.attach(mark, noun, k + 1 == kNamed ? "cc" : "punct");
      }
    }
    return s.finish(root, label);
  };
  return {make(0), make(1)};
}

}  // namespace filigree::language
