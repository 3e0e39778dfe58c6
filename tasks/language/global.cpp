// "we stayed in the cabin for a week , the bath was lovely , the roof was shabby and the host was
// kind ." praises more than it blames; with every opinion turned into its counterpart it blames
// more. The first eight words are the same in both sentences.
#include "tasks/language/sentence_builder.h"

namespace filigree::language {

Pair global_pair(RandomStream& random) {
  const Lexeme verb = pick(staying(), random);
  const std::string_view lodging = pick(lodgings(), random), time = pick(times(), random);
  const size_t opinions = 3 + 2 * random.below(2);
  const auto things = pick_different(things_seen(), opinions, random);
  std::vector<size_t> words;
  std::vector<bool> praises;
  size_t praise_count = 0;
  for (size_t k = 0; k < opinions; ++k) {
    words.push_back(random.below(praise().size()));
    praises.push_back(random.below(2) == 0);
    praise_count += praises.back() ? 1 : 0;
  }
  const bool more_praise = 2 * praise_count > opinions;
  const auto make = [&](int label) {
    const bool turn = (label == 1) != more_praise;
    SentenceBuilder s;
    const int32_t subject = s.add("we", "PRON");
    const int32_t root = s.add(verb.form, verb.lemma, "VERB");
    s.attach(subject, root, "nsubj");
    s.prepositional("in", "the", {}, lodging, root);
    s.prepositional("for", "a", {}, time, root);
    for (size_t k = 0; k < opinions; ++k) {
      const bool last = k + 1 == opinions;
      const int32_t mark = last ? s.add("and", "CCONJ") : s.add(",", "PUNCT");
      const int32_t thing = s.noun_phrase("the", {}, things[k]);
      const int32_t was = s.add("was", "be", "AUX");
      const bool is_praise = praises[k] != turn;
      const int32_t word = s.add(is_praise ? praise()[words[k]] : blame()[words[k]], "ADJ");
      s.attach(thing, word, "nsubj");
      s.attach(was, word, "cop");
      s.attach(mark, word, last ? "cc" : "punct");
      s.attach(word, root, "conj");
    }
    return s.finish(root, label);
  };
  return {make(0), make(1)};
}

}  // namespace filigree::language
