// "we left the ripe pear behind the rusty hammer near the old mill ." fits; with the two adjectives
// exchanged it does not. Both sentences have the same words.
#include "tasks/language/sentence_builder.h"

namespace filigree::language {

Pair local_pair(RandomStream& random) {
  const std::string_view food = pick(foods(), random), tool = pick(tools(), random);
  const std::string_view for_food = pick(food_adjectives(), random);
  const std::string_view for_tool = pick(tool_adjectives(), random);
  const Lexeme verb = pick(placing(), random);
  const auto prepositions = pick_different(where(), 2, random);
  const std::string_view place = pick(places(), random);
  const std::string_view look = pick(neutral_adjectives(), random);
  const bool food_first = random.below(2) == 0;
  const auto make = [&](int label) {
    const bool fits = label == 0;
    const std::string_view at_food = fits ? for_food : for_tool;
    const std::string_view at_tool = fits ? for_tool : for_food;
    SentenceBuilder s;
    const int32_t subject = s.add("we", "PRON");
    const int32_t root = s.add(verb.form, verb.lemma, "VERB");
    s.attach(subject, root, "nsubj");
    const int32_t object =
        food_first ? s.noun_phrase("the", {at_food}, food) : s.noun_phrase("the", {at_tool}, tool);
    s.attach(object, root, "obj");
    if (food_first) {
      s.prepositional(prepositions[0], "the", {at_tool}, tool, root);
    } else {
      s.prepositional(prepositions[0], "the", {at_food}, food, root);
    }
    s.prepositional(prepositions[1], "the", {look}, place, root);
    return s.finish(root, label);
  };
  return {make(0), make(1)};
}

}  // namespace filigree::language
