#include "tasks/language/lexicon.h"

#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tasks/language/language.h"

namespace filigree::language {

namespace {

constexpr std::string_view kFoods[] = {"pear",  "lemon",  "plum",  "cake",   "soup",
                                       "bread", "cheese", "peach", "cherry", "melon"};
constexpr std::string_view kTools[] = {"hammer", "drill",  "wrench",  "chisel", "saw",
                                       "nail",   "shovel", "pickaxe", "ladder", "pump"};
constexpr std::string_view kAnimals[] = {"fox",  "dog",  "cat",   "wolf", "bear",  "goat",
                                         "duck", "hen",  "horse", "pig",  "mouse", "crow",
                                         "deer", "frog", "hare",  "swan"};
constexpr std::string_view kPlaces[] = {"river",  "bridge", "garden", "mill",
                                        "forest", "tower",  "barn",   "market"};
constexpr std::string_view kLodgings[] = {"inn", "hotel", "hostel", "lodge", "cabin", "camp"};
constexpr std::string_view kTimes[] = {"week", "month", "day", "night", "winter", "summer"};
constexpr std::string_view kThingsHad[] = {"food",  "rooms", "staff",  "beds",   "views",
                                           "meals", "music", "towels", "prices", "wine"};
constexpr std::string_view kThingsSeen[] = {"lobby", "bath", "pool",  "kitchen", "host",
                                            "roof",  "door", "floor", "window",  "cellar"};
constexpr Numbered kPeople[] = {
    {"farmer", "farmers"}, {"baker", "bakers"},     {"singer", "singers"}, {"guard", "guards"},
    {"sailor", "sailors"}, {"painter", "painters"}, {"doctor", "doctors"}, {"miner", "miners"},
};

constexpr Lexeme kPlacing[] = {{"put", "put"},      {"left", "leave"}, {"found", "find"},
                               {"placed", "place"}, {"hid", "hide"},   {"saw", "see"}};
constexpr Lexeme kMeeting[] = {{"met", "meet"},      {"followed", "follow"}, {"heard", "hear"},
                               {"watched", "watch"}, {"passed", "pass"},     {"greeted", "greet"}};
constexpr Lexeme kResting[] = {
    {"slept", "sleep"}, {"rested", "rest"}, {"waited", "wait"}, {"sat", "sit"}, {"lay", "lie"}};
constexpr Lexeme kStaying[] = {
    {"stayed", "stay"}, {"lived", "live"}, {"lodged", "lodge"}, {"remained", "remain"}};
constexpr Numbered kDoing[] = {{"sings", "sing"},   {"works", "work"},   {"walks", "walk"},
                               {"stands", "stand"}, {"dreams", "dream"}, {"laughs", "laugh"}};

constexpr std::string_view kFoodAdjectives[] = {"ripe",  "sweet", "juicy",  "tasty",
                                                "salty", "sour",  "tender", "spicy"};
constexpr std::string_view kToolAdjectives[] = {"rusty", "blunt",  "bent",    "oily",
                                                "steel", "forged", "notched", "electric"};
constexpr std::string_view kNeutralAdjectives[] = {"old",  "small", "tall",
                                                   "grey", "young", "famous"};
constexpr std::string_view kPraise[] = {"great", "lovely",  "superb",    "charming",
                                        "clean", "kind",    "wonderful", "pleasant",
                                        "fresh", "perfect", "splendid",  "delightful"};
constexpr std::string_view kBlame[] = {"awful", "nasty",  "poor",     "dull",
                                       "dirty", "rude",   "horrible", "tiresome",
                                       "stale", "broken", "dreadful", "shabby"};

constexpr std::string_view kWhere[] = {"near", "beside", "behind", "under"};
constexpr std::string_view kJoining[] = {"and", "but", "while"};
constexpr std::string_view kFunctionWords[] = {"the", "a",   "one", "we", "they",
                                               "who", "at",  "for", "in", "all",
                                               "was", "and", "but", ",",  "."};

}  // namespace

Words foods() { return kFoods; }
Words tools() { return kTools; }
Words animals() { return kAnimals; }
Words places() { return kPlaces; }
Words lodgings() { return kLodgings; }
Words times() { return kTimes; }
Words things_had() { return kThingsHad; }
Words things_seen() { return kThingsSeen; }
std::span<const Numbered> people() { return kPeople; }
std::span<const Lexeme> placing() { return kPlacing; }
std::span<const Lexeme> meeting() { return kMeeting; }
std::span<const Lexeme> resting() { return kResting; }
std::span<const Lexeme> staying() { return kStaying; }
std::span<const Numbered> doing() { return kDoing; }
Words food_adjectives() { return kFoodAdjectives; }
Words tool_adjectives() { return kToolAdjectives; }
Words neutral_adjectives() { return kNeutralAdjectives; }
Words praise() { return kPraise; }
Words blame() {
  static_assert(std::size(kPraise) == std::size(kBlame));
  return kBlame;
}
Words where() { return kWhere; }
Words joining() { return kJoining; }
Words function_words() { return kFunctionWords; }

}  // namespace filigree::language

namespace filigree {

std::vector<std::string> language_vocabulary() {
  using namespace language;
  std::set<std::string> forms;
  for (const Words list :
       {foods(), tools(), animals(), places(), lodgings(), times(), things_had(), things_seen(),
        food_adjectives(), tool_adjectives(), neutral_adjectives(), praise(), blame(), where(),
        joining(), function_words()}) {
    forms.insert(list.begin(), list.end());
  }
  for (const auto list : {placing(), meeting(), resting(), staying()}) {
    for (const Lexeme& word : list) forms.emplace(word.form);
  }
  for (const auto list : {people(), doing()}) {
    for (const Numbered& word : list) {
      forms.emplace(word.singular);
      forms.emplace(word.plural);
    }
  }
  return {forms.begin(), forms.end()};
}

}  // namespace filigree
