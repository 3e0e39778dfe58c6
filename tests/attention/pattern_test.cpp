// Every pattern against its definition as a predicate on (i, j), and the algebra of patterns.
#include "attention/pattern.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <utility>

#include "tests/attention/pattern_sets.h"

namespace filigree {
namespace {

using namespace testing_attention;

constexpr int64_t kLongest = 70;

/// Every fifth token and the last but one are special.
std::vector<uint8_t> special_flags(int64_t n) {
  std::vector<uint8_t> flags(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j) flags[static_cast<size_t>(j)] = j % 5 == 2 || j == n - 2;
  return flags;
}
bool is_special(int64_t n, int64_t j) { return j % 5 == 2 || j == n - 2; }

bool within(int64_t i, int64_t j, int64_t w) { return std::abs(i - j) <= w; }

struct Case {
  const char* name;
  const char* text;
  Definition sees;
};

// Every definition is written with its "or j = i", which every pattern has without being asked.
std::vector<Case> cases() {
  using I = int64_t;
  return {
      {"dense", "dense", [](I, I, I) { return true; }},
      {"self", "self", [](I, I i, I j) { return i == j; }},
      {"neighbour_0", "neighbour:0", [](I, I i, I j) { return i == j; }},
      {"neighbour_3", "neighbour:3", [](I, I i, I j) { return within(i, j, 3); }},
      {"neighbour_100", "neighbour:100", [](I, I, I) { return true; }},
      {"neighbour_huge", "neighbour:2147483647", [](I, I, I) { return true; }},
      {"neighbour_left", "neighbour:4,0", [](I, I i, I j) { return j <= i && i - j <= 4; }},
      {"neighbour_uneven", "neighbour:1,5", [](I, I i, I j) { return j >= i - 1 && j <= i + 5; }},
      {"neighbour_truncate", "neighbour:3,edge=truncate",
       [](I, I i, I j) { return within(i, j, 3); }},
      // The 2w+1 tokens that lie around i, or at the border that is nearer than w.
      {"neighbour_shift", "neighbour:3,edge=shift",
       [](I n, I i, I j) {
         const I first = std::max<I>(0, std::min(i - 3, n - 7));
         return j >= first && j < first + 7;
       }},
      {"neighbour_uneven_shift", "neighbour:1,5,edge=shift",
       [](I n, I i, I j) {
         const I first = std::max<I>(0, std::min(i - 1, n - 7));
         return j >= first && j < first + 7;
       }},
      {"neighbour_huge_shift", "neighbour:2147483647,edge=shift", [](I, I, I) { return true; }},
      {"dilated_1", "dilated:4,1", [](I, I i, I j) { return within(i, j, 4); }},
      {"dilated_3", "dilated:4,3",
       [](I, I i, I j) { return within(i, j, 12) && (i - j) % 3 == 0; }},
      {"dilated_0", "dilated:0,3", [](I, I i, I j) { return i == j; }},
      {"dilated_huge", "dilated:2147483647,2147483647", [](I, I i, I j) { return i == j; }},
      {"block_1", "block:1", [](I, I i, I j) { return i == j; }},
      {"block_8", "block:8", [](I, I i, I j) { return i / 8 == j / 8; }},
      {"block_huge", "block:2147483647", [](I, I, I) { return true; }},
      {"strided_1", "strided:1", [](I, I, I) { return true; }},
      {"strided_5", "strided:5", [](I, I i, I j) { return within(i, j, 5) || (i - j) % 5 == 0; }},
      {"strided_causal", "strided:4&causal",
       [](I, I i, I j) { return j <= i && (i - j <= 4 || (i - j) % 4 == 0); }},
      {"strided_huge", "strided:2147483647", [](I, I, I) { return true; }},
      {"fixed_1", "fixed:1", [](I, I, I) { return true; }},
      {"fixed_6", "fixed:6", [](I, I i, I j) { return i / 6 == j / 6 || j % 6 == 5; }},
      {"fixed_6_2", "fixed:6,2", [](I, I i, I j) { return i / 6 == j / 6 || j % 6 >= 4; }},
      {"fixed_causal", "fixed:6,6&causal", [](I, I i, I j) { return j <= i; }},
      {"fixed_huge", "fixed:2147483647,9", [](I, I, I) { return true; }},
      {"causal", "causal", [](I, I i, I j) { return j <= i; }},
      {"global_cls", "global:cls", [](I, I i, I j) { return i == j || i == 0 || j == 0; }},
      {"global_special", "global:special",
       [](I n, I i, I j) { return i == j || is_special(n, i) || is_special(n, j); }},
      {"global_special_rows", "global:special,rows",
       [](I n, I i, I j) { return i == j || is_special(n, i); }},
      {"global_special_cols", "global:special,cols",
       [](I n, I i, I j) { return i == j || is_special(n, j); }},
      {"global_none", "global:first=0", [](I, I i, I j) { return i == j; }},
      {"global_first", "global:first=3", [](I, I i, I j) { return i == j || i < 3 || j < 3; }},
      {"global_first_rows", "global:first=3,rows", [](I, I i, I j) { return i == j || i < 3; }},
      {"global_first_cols", "global:first=3,cols", [](I, I i, I j) { return i == j || j < 3; }},
      {"global_first_both", "global:first=3,both",
       [](I, I i, I j) { return i == j || i < 3 || j < 3; }},
      {"global_every", "global:every=4",
       [](I, I i, I j) { return i == j || i % 4 == 0 || j % 4 == 0; }},
      {"global_every_1", "global:every=1,cols", [](I, I, I) { return true; }},
      {"longformer", "longformer:2,3",
       [](I, I i, I j) { return within(i, j, 3) || i < 2 || j < 2; }},
      {"bigbird_without_random", "bigbird:2,3,0",
       [](I, I i, I j) { return within(i, j, 3) || i < 2 || j < 2; }},
      // Half of the tokens see one token far, every other time: the shift of token i is frac(i /
      // phi).
      {"irregular", "irregular:0,1,0.5,4,0.5",
       [](I, I i, I j) {
         const double golden = static_cast<double>(i) * 0.61803398874989484820;
         return within(i, j, golden - std::floor(golden) < 0.5 ? 1 : 4);
       }},
      {"irregular_of_one", "irregular:0.25,3,1", [](I, I i, I j) { return within(i, j, 3); }},
      {"offsets", "offsets:5,0,2,5",
       [](I, I i, I j) { return i == j || std::abs(i - j) == 2 || std::abs(i - j) == 5; }},
      {"offsets_far", "offsets:2000000000|noself", [](I, I, I) { return false; }},
      {"union", "neighbour:1|block:4",
       [](I, I i, I j) { return within(i, j, 1) || i / 4 == j / 4; }},
      {"intersection", "neighbour:3&causal", [](I, I i, I j) { return j <= i && i - j <= 3; }},
      // Self comes back after the difference took it out.
      {"difference", "neighbour:3-neighbour:1",
       [](I, I i, I j) { return i == j || (within(i, j, 3) && !within(i, j, 1)); }},
      {"difference_noself", "neighbour:3-neighbour:1|noself",
       [](I, I i, I j) { return within(i, j, 3) && !within(i, j, 1); }},
      {"noself_first", "noself|causal-self", [](I, I i, I j) { return j < i; }},
      {"noself_removes_nothing", "neighbour:1|noself", [](I, I i, I j) { return within(i, j, 1); }},
      {"everything_taken", "dense-dense|noself", [](I, I, I) { return false; }},
  };
}

class EveryPattern : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Pattern, EveryPattern, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(EveryPattern, IsItsDefinition) {
  const Pattern pattern = parse_pattern(GetParam().text);
  for (int64_t n = 1; n <= kLongest; ++n) {
    const auto flags = special_flags(n);
    const SequenceView sequence{n, {}, flags, 0};
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(row_of(pattern, sequence, i), row_by(GetParam().sees, n, i))
          << "length " << n << ", row " << i;
    }
  }
}

TEST_P(EveryPattern, ItsTextParsesBackToTheSameRows) {
  const Pattern pattern = parse_pattern(GetParam().text);
  const Pattern again = parse_pattern(pattern.text());
  EXPECT_EQ(again.text(), pattern.text());
  for (const int64_t n : {1, 2, 17, 70}) {
    const auto flags = special_flags(n);
    const SequenceView sequence{n, {}, flags, 0};
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(row_of(again, sequence, i), row_of(pattern, sequence, i)) << pattern.text();
    }
  }
}

// Runs are what kernels rely on: ascending, apart from each other, within the sequence.
TEST_P(EveryPattern, RunsAreInOrder) {
  const Pattern pattern = parse_pattern(GetParam().text);
  for (const int64_t n : {1, 5, 70}) {
    const auto flags = special_flags(n);
    for (int64_t i = 0; i < n; ++i) {
      Runs runs;
      pattern.row({n, {}, flags, 0}, i, {}, runs);
      int32_t last = -1;
      for (const auto& run : runs) {
        ASSERT_GT(run.lo, last);
        ASSERT_LT(run.lo, run.hi);
        ASSERT_LE(run.hi, n);
        last = run.hi;
      }
    }
  }
}

TEST(Pattern, WithoutFlagsTheFirstTokenIsSpecial) {
  EXPECT_EQ(rows_of("global:special", {9, {}, {}, 0}), rows_of("global:cls", {9, {}, {}, 0}));
}

TEST(Pattern, EveryPatternOfTheTableIsTested) {
  std::set<std::string> tested{"random", "syntax", "lexical", "rewired",
                               "shuffled"};  // in files of their own
  for (const Case& c : cases()) {
    std::string name;
    for (const char symbol : std::string(c.text) + " ") {
      if (std::isalnum(static_cast<unsigned char>(symbol)) != 0) {
        name += symbol;
      } else {
        tested.insert(std::exchange(name, ""));
      }
    }
  }
  for (const PatternHelp& help : pattern_help()) {
    EXPECT_TRUE(tested.contains(help.name)) << help.name;
    EXPECT_FALSE(help.meaning.empty()) << help.name;
    EXPECT_EQ(help.syntax.find(help.name), 0U) << help.name;
  }
}

// & binds tighter than | and -, which go from left to right.
TEST(PatternAlgebra, Precedence) {
  const SequenceView sequence{40, {}, {}, 0};
  const auto same = [&](const char* a, const char* b) {
    EXPECT_EQ(rows_of(a, sequence), rows_of(b, sequence)) << a << " is not " << b;
  };
  const auto differ = [&](const char* a, const char* b) {
    EXPECT_NE(rows_of(a, sequence), rows_of(b, sequence)) << a << " is " << b;
  };
  same("block:8|neighbour:3&causal", "block:8|(neighbour:3&causal)");
  differ("block:8|neighbour:3&causal", "(block:8|neighbour:3)&causal");
  same("neighbour:3&causal|block:8", "(neighbour:3&causal)|block:8");
  same("dense-block:8|neighbour:2", "(dense-block:8)|neighbour:2");
  differ("dense-block:8|neighbour:2", "dense-(block:8|neighbour:2)");
  same("dense-block:8-neighbour:6", "(dense-block:8)-neighbour:6");
  same("dense-block:8-neighbour:6", "dense-(block:8|neighbour:6)");
  differ("dense-block:8-neighbour:6", "dense-(block:8-neighbour:6)");
  same("dense-block:8&causal", "dense-(block:8&causal)");
  differ("dense-block:8&causal", "(dense-block:8)&causal");
  same("  dense - ( block:8 & causal ) ", "dense-block:8&causal");
  same("neighbour:1 , 5", "neighbour:1,5");
}

TEST(PatternAlgebra, Laws) {
  const char *a = "neighbour:3,1", *b = "dilated:3,2", *c = "global:every=7,cols";
  const SequenceView sequence{40, {}, {}, 0};
  const auto rows = [&](const std::string& form) {
    std::string text;
    for (const char symbol : form) {
      text += symbol == 'a' ? a : symbol == 'b' ? b : symbol == 'c' ? c : std::string(1, symbol);
    }
    return rows_of(text, sequence);
  };
  EXPECT_EQ(rows("a|b"), rows("b|a"));
  EXPECT_EQ(rows("a&b"), rows("b&a"));
  EXPECT_EQ(rows("a|a"), rows("a"));
  EXPECT_EQ(rows("a&a"), rows("a"));
  EXPECT_EQ(rows("(a|b)|c"), rows("a|(b|c)"));
  EXPECT_EQ(rows("(a&b)&c"), rows("a&(b&c)"));
  EXPECT_EQ(rows("a&(b|c)"), rows("a&b|a&c"));
  EXPECT_EQ(rows("a|(b&c)"), rows("(a|b)&(a|c)"));
  EXPECT_EQ(rows("a-(b|c)"), rows("(a-b)&(a-c)"));
  EXPECT_EQ(rows("a-(b&c)"), rows("(a-b)|(a-c)"));
  EXPECT_EQ(rows("a-(a-b)"), rows("a&b"));
}

TEST(PatternAlgebra, TextKeepsOnlyTheParenthesesItNeeds) {
  EXPECT_EQ(parse_pattern(" neighbour:3 | ( block:8 ) ").text(), "neighbour:3|block:8");
  EXPECT_EQ(parse_pattern("(causal & block:8) - self").text(), "causal&block:8-self");
  EXPECT_EQ(parse_pattern("dense - (block:8 | self)").text(), "dense-(block:8|self)");
  EXPECT_EQ(parse_pattern("noself | dense").text(), "dense|noself");
  EXPECT_EQ(parse_pattern("neighbour:2,2").text(), "neighbour:2,2");
  EXPECT_EQ(parse_pattern("bigbird:1,2,3|causal").text(), "bigbird:1,2,3|causal");
}

}  // namespace
}  // namespace filigree
