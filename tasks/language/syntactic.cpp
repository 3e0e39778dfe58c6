// "the farmer who they met near the mill sings beside the river all day and the guards who they met
// near the mill sing beside the river all day ." agrees; with the two verbs exchanged it does not.
// Both sentences have the same words, and both verbs the same words around them, six before and
// five behind; a subject stands seven words before its verb, the other one further away.
#include "tasks/language/sentence_builder.h"

namespace filigree::language {

Pair syntactic_pair(RandomStream& random) {
  const size_t first = random.below(people().size());
  const size_t second = (first + 1 + random.below(people().size() - 1)) % people().size();
  const Numbered nouns[] = {people()[first], people()[second]};
  const bool first_is_plural = random.below(2) == 0;
  const Numbered verb = pick(doing(), random);
  const Lexeme met = pick(meeting(), random);
  const auto prepositions = pick_different(where(), 2, random);
  const auto spots = pick_different(places(), 2, random);
  const std::string_view time = pick(times(), random);
  const std::string_view conjunction = pick(joining(), random);
  const auto make = [&](int label) {
    SentenceBuilder s;
    int32_t roots[2] = {0, 0};
    for (int clause = 0; clause < 2; ++clause) {
      const bool plural = (clause == 0) == first_is_plural;
      const bool verb_plural = label == 0 ? plural : !plural;
      int32_t join = -1;
      if (clause == 1) join = s.add(conjunction, "CCONJ");
      const Numbered& noun = nouns[clause];
      const int32_t subject = s.noun_phrase("the", {}, noun.form(plural), noun.singular);
      const int32_t who = s.add("who", "PRON"), they = s.add("they", "PRON");
      const int32_t relative = s.add(met.form, met.lemma, "VERB");
      s.attach(who, relative, "obj");
      s.attach(they, relative, "nsubj");
      s.attach(relative, subject, "acl:relcl");
      s.prepositional(prepositions[0], "the", {}, spots[0], relative);
      const int32_t root = roots[clause] = s.add(verb.form(verb_plural), verb.plural, "VERB");
      s.attach(subject, root, "nsubj");
      s.prepositional(prepositions[1], "the", {}, spots[1], root);
      const int32_t all = s.add("all", "DET"), when = s.add(time, "NOUN");
      s.attach(all, when, "det");
      s.attach(when, root, "obl:tmod");
      if (clause == 1) {
        s.attach(join, root, "cc");
        s.attach(root, roots[0], "conj");
      }
    }
    return s.finish(roots[0], label);
  };
  return {make(0), make(1)};
}

}  // namespace filigree::language
