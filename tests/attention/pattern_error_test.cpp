// What the reader of patterns says about mistakes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "attention/pattern.h"
#include "core/error.h"

namespace filigree {
namespace {

using testing::HasSubstr;

struct Mistake {
  const char* text;
  size_t caret;  ///< index of the character that the message points at
  const char* message;
};

class PatternMistake : public testing::TestWithParam<Mistake> {};
INSTANTIATE_TEST_SUITE_P(
    Pattern, PatternMistake,
    testing::Values(
        Mistake{"", 0, "expected the name of a pattern"},
        Mistake{"   ", 3, "expected the name of a pattern"},
        Mistake{"noself", 0, "the pattern has no part"},
        Mistake{"neighbor:3", 0, "the nearest name is \"neighbour\""},
        Mistake{"causal|neighbuor:3", 7, "the nearest name is \"neighbour\""},
        Mistake{"dense - globl:cls", 8, "the nearest name is \"global\""},
        Mistake{"dense|nosel", 6, "the nearest name is \"noself\""},
        Mistake{"zzzzzzzz", 0, "patterns are noself, dense, self"},
        Mistake{"neighbour", 0, "takes 1 to 2 arguments, got 0"},
        Mistake{"neighbour:1,2,3", 0, "takes 1 to 2 arguments, got 3"},
        Mistake{"dense:1", 0, "takes 0 arguments, got 1"},
        Mistake{"neighbour:x", 10, "reach is a whole number from 0 up, got \"x\""},
        Mistake{"neighbour:1.5", 10, "got \"1.5\""},
        Mistake{"neighbour:99999999999", 10, "got \"99999999999\""},
        Mistake{"neighbour:99999999999999999999", 10, "got \"99999999999999999999\""},
        Mistake{"neighbour:2147483648", 10, "got \"2147483648\""},
        Mistake{"neighbour:+3", 10, "got \"+3\""},
        Mistake{"neighbour:-3", 10, "expected an argument"},
        Mistake{"neighbour:", 10, "expected an argument"},
        Mistake{"neighbour:3,", 12, "expected an argument"},
        Mistake{"neighbour:3,edge=round", 17, "edge is one of truncate, shift, got \"round\""},
        Mistake{"neighbour:3,edge=", 12, "edge= has no value"},
        Mistake{"neighbour:3,egde=shift", 12, "has no option \"egde\""},
        Mistake{"causal|neighbour:w=3", 17, "has no option \"w\""},
        Mistake{"block:0", 6, "block size is a whole number from 1 up, got \"0\""},
        Mistake{"dilated:3", 0, "takes 2 arguments, got 1"},
        Mistake{"dilated:3,0", 10, "got \"0\""},
        Mistake{"global", 0, "lacks its cls, special, first=k or every=k"},
        Mistake{"global:cls,diagonal", 11, "expected rows, cols or both, got \"diagonal\""},
        Mistake{"offsets", 0, "distance"},
        Mistake{"offsets:1,x", 10, "distance is a whole number from 0 up, got \"x\""},
        Mistake{"irregular:0", 0, "expected a reach and its share"},
        Mistake{"irregular:x,1,1", 10, "expected shift as a number, got \"x\""},
        Mistake{"irregular:0,1,x", 14, "expected share as a number, got \"x\""},
        Mistake{"irregular:0,1", 0, "share of the tokens"}, Mistake{"irregular:0,1,0.5", 0, "sum"},
        Mistake{"irregular:1,1,1", 0, "shifted by 1"},
        Mistake{"irregular:0,3,0.5,2,0.5", 0, "rise"}, Mistake{"global:sep", 7, "got \"sep\""},
        Mistake{"global:first=1,every=2", 15, "exclude each other"},
        Mistake{"global:every=0", 13, "every is a whole number from 1 up"},
        Mistake{"causal | global:cols,first=x", 27, "first is a whole number from 0 up, got \"x\""},
        Mistake{"global:firts=2", 7, "has no option \"firts\""},
        Mistake{"random:3,per=epoch", 13, "per is one of fixed, example, step, got \"epoch\""},
        Mistake{"strided:0", 8, "stride is a whole number from 1 up"},
        Mistake{"fixed:4,0", 8, "summary tokens is a whole number from 1 up"},
        Mistake{"fixed:4,5", 8, "a block of 4 has no 5 summary tokens"},
        Mistake{"syntax", 0, "takes 1 arguments, got 0"},
        Mistake{"syntax:-1", 7, "expected an argument"},
        Mistake{"causal&syntax:two", 14, "number of tree edges is a whole number from 0 up"},
        Mistake{"lexical:smae", 8, "number of tokens is a whole number from 0 up, got \"smae\""},
        Mistake{"lexical:3,same", 0, "takes 1 arguments, got 2"},
        Mistake{"dense*2", 6, "a share is a number from 0 to 1, got \"2\""},
        Mistake{"dense * x", 8, "a share is a number from 0 to 1, got \"\""},
        Mistake{"causal|dense*0.2*0.5", 16, "unexpected character"},
        Mistake{"dense*1.2.3", 6, "got \"1.2.3\""},
        Mistake{"dense|noself*0.5", 12, "noself is not a set"},
        Mistake{"causal|neighbour:?", 17, "an open number, but no density"},
        Mistake{"bigbird:1,2", 0, "takes 3 arguments, got 2"},
        Mistake{"longformer:1", 0, "takes 2 arguments, got 1"},
        Mistake{"(dense", 0, "this parenthesis is not closed"},
        Mistake{"causal|(dense|(block:2)", 7, "this parenthesis is not closed"},
        Mistake{"dense)", 5, "unexpected character"},
        Mistake{"dense causal", 6, "unexpected character"},
        Mistake{"dense/causal", 5, "unexpected character"},
        Mistake{"dense|", 6, "expected the name of a pattern"},
        Mistake{"dense&", 6, "expected the name of a pattern"},
        Mistake{"|dense", 0, "expected the name of a pattern"},
        Mistake{"dense&noself", 6, "noself is not a set"},
        Mistake{"noself&dense", 7, "noself is not a set"},
        Mistake{"noself-dense", 7, "noself is not a set"},
        Mistake{"dense - noself", 7, "noself is not a set"},
        Mistake{"neighbour:=3", 10, "expected an argument"},
        Mistake{"rewired", 7, "rewired takes a pattern in parentheses"},
        Mistake{"causal | rewired:3", 16, "rewired takes a pattern in parentheses"},
        Mistake{"rewired()", 8, "expected the name of a pattern"},
        Mistake{"shuffled(causal", 8, "this parenthesis is not closed"},
        Mistake{"self|rewird(causal)", 5, "the nearest name is \"rewired\""},
        Mistake{"shuffled(neighbor:3)", 9, "the nearest name is \"neighbour\""},
        Mistake{"rewired(block:0)", 14, "block size is a whole number from 1 up"},
        Mistake{"shuffled(noself)", 9, "noself is not a set"},
        Mistake{"rewired(neighbour:?)", 18, "an open number, but no density"},
        Mistake{"causal(block:3)", 6, "unexpected character"},
        Mistake{"()", 1, "expected the name of a pattern"}));

TEST_P(PatternMistake, IsShownAndPointedAt) {
  const Mistake& mistake = GetParam();
  try {
    parse_pattern(mistake.text);
    FAIL() << "\"" << mistake.text << "\" was read";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.where(), "pattern");
    EXPECT_EQ(error.exit_status(), 2);
    EXPECT_THAT(error.what(), HasSubstr(mistake.message));
    // The text on a line of its own, the caret below the character.
    const std::string pointer =
        "\n  " + std::string(mistake.text) + "\n  " + std::string(mistake.caret, ' ') + "^";
    EXPECT_THAT(error.what(), HasSubstr(pointer));
  }
}

TEST(PatternText, BlanksMayBeTabs) {
  EXPECT_EQ(parse_pattern("\tneighbour:3 |\tglobal:cls\t").text(), "neighbour:3|global:cls");
}

// The caret counts characters, not bytes; of a long text only the surroundings are shown.
TEST(PatternText, IsShownAroundTheMistake) {
  const auto error_of = [](const std::string& text) -> std::string {
    try {
      parse_pattern(text);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of("global:\u00e9\u00e9,first=x"),
              HasSubstr("\n  global:\u00e9\u00e9,first=x\n                  ^"));
  const std::string text = error_of(std::string(5000, ' ') + "dense/" + std::string(5000, ' '));
  EXPECT_LT(text.size(), 400U);
  EXPECT_THAT(text, HasSubstr("dense/"));
  EXPECT_THAT(text, HasSubstr("\n  .." + std::string(55, ' ') + "dense/"));
  EXPECT_THAT(text, HasSubstr("\n    " + std::string(60, ' ') + "^"));
}

TEST(PatternText, PartsAreLimitedAndThoseWithinComeBack) {
  const auto chain = [](const std::string& part, size_t parts, char symbol) {
    std::string text = part;
    for (size_t k = 1; k < parts; ++k) text += symbol + part;
    return text;
  };
  for (const char symbol : {'&', '|', '-'}) {
    const std::string text = chain("neighbour:3", 1000, symbol);
    EXPECT_EQ(parse_pattern(text).text(), text);
    try {
      parse_pattern(chain("neighbour:3", 120000, symbol));
      FAIL() << "no error";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("more than 1000 parts"));
    }
  }
}

TEST(PatternDepth, ParenthesesAreLimited) {
  const auto nested = [](const std::string& name, size_t depth) {
    std::string text;
    for (size_t k = 0; k < depth; ++k) text += name + "(";
    return text + "dense" + std::string(depth, ')');
  };
  EXPECT_EQ(parse_pattern(nested("", 100)).text(), "dense");
  EXPECT_EQ(parse_pattern(nested("rewired", 100)).text(), nested("rewired", 100));
  for (const char* name : {"", "rewired"}) {
    try {
      parse_pattern(nested(name, 100000));
      FAIL() << "no error";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("too many parentheses"));
    }
  }
}

}  // namespace
}  // namespace filigree
