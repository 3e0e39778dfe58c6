// The words of the built-in language.
#pragma once

#include <span>
#include <string_view>

namespace filigree::language {

/// A form and its lemma.
struct Lexeme {
  std::string_view form, lemma;
};

/// A word with a singular and a plural form; the lemma is the singular of a noun, the plural of a
/// verb.
struct Numbered {
  std::string_view singular, plural;
  std::string_view form(bool is_plural) const { return is_plural ? plural : singular; }
};

using Words = std::span<const std::string_view>;

// Nouns.
Words foods();
Words tools();
Words animals();
Words places();                      ///< something to be in, near or behind
Words lodgings();                    ///< somewhere to stay
Words times();                       ///< a week, a month
Words things_had();                  ///< of a lodging, without article: food, rooms
Words things_seen();                 ///< of a lodging, singular
std::span<const Numbered> people();  ///< regular plurals; no singular ends in s

// Verbs in the past tense, which have no number.
std::span<const Lexeme> placing();  ///< a food or tool somewhere
std::span<const Lexeme> meeting();  ///< a person or an animal
std::span<const Lexeme> resting();  ///< somewhere, for some time
std::span<const Lexeme> staying();  ///< in a lodging
// In the present tense, where number shows.
std::span<const Numbered> doing();

// Adjectives.
Words food_adjectives();
Words tool_adjectives();
Words neutral_adjectives();
Words praise();
Words blame();  ///< blame()[i] is the counterpart of praise()[i]

// The rest.
Words where();  ///< prepositions of place
Words joining();
Words function_words();  ///< every other form: articles, pronouns, marks

}  // namespace filigree::language
