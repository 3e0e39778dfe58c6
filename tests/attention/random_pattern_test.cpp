// random: how many, which, and what the draw depends on.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>

#include "tests/attention/pattern_sets.h"

namespace filigree {
namespace {

using namespace testing_attention;

using Rows = std::vector<Columns>;

Rows random_rows(std::string_view text, int64_t n, const GraphKey& key = {}, uint64_t sample = 0) {
  return rows_of(text, {n, {}, {}, sample}, key);
}

TEST(RandomPattern, ExactlyRBeyondSelf) {
  for (int64_t n = 1; n <= 70; ++n) {
    for (const int64_t r : {0, 1, 3, 20, 69, 1000}) {
      const Rows rows = random_rows("random:" + std::to_string(r), n);
      for (int64_t i = 0; i < n; ++i) {
        const Columns& row = rows[static_cast<size_t>(i)];
        ASSERT_TRUE(row.contains(i));
        ASSERT_EQ(static_cast<int64_t>(row.size()), std::min(n, r + 1)) << n << ", " << i;
      }
    }
  }
}

TEST(RandomPattern, WithoutSelfExactlyR) {
  for (const Columns& row : random_rows("random:4|noself", 30)) EXPECT_EQ(row.size(), 4U);
}

// None of the drawn is among the pattern's other edges, wherever in the text these stand.
TEST(RandomPattern, DrawsNoneOfThePatternsOtherEdges) {
  const char* others = "neighbour:2|global:first=2";
  for (const char* text :
       {"neighbour:2|global:first=2|random:3", "random:3|neighbour:2|global:first=2",
        "neighbour:2|random:3|global:first=2", "(random:3|neighbour:2)|global:first=2",
        "neighbour:2|(global:first=2|random:3)", "global:first=2|(random:3|neighbour:2)",
        "bigbird:2,2,3", "bigbird:0,0,3|neighbour:2|global:first=2", "neighbour:2|bigbird:2,1,3",
        "longformer:2,2|random:3"}) {
    for (const int64_t n : {1, 4, 8, 40}) {
      const Rows base = random_rows(others, n), rows = random_rows(text, n);
      for (size_t i = 0; i < rows.size(); ++i) {
        const Columns &have = base[i], &row = rows[i];
        ASSERT_TRUE(std::includes(row.begin(), row.end(), have.begin(), have.end())) << text;
        ASSERT_EQ(row.size(), std::min<size_t>(have.size() + 3, static_cast<size_t>(n)))
            << text << ", length " << n << ", row " << i;
      }
    }
  }
}

TEST(RandomPattern, SeveralRandomPartsAddUp) {
  for (const char* text : {"random:3|random:2|neighbour:2", "random:3|(random:2|neighbour:2)",
                           "(random:3|neighbour:2)|random:2"}) {
    const Rows base = random_rows("neighbour:2", 40), rows = random_rows(text, 40);
    for (size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(rows[i].size(), base[i].size() + 5) << text << ", row " << i;
    }
  }
}

// A part that something is taken from, or that is cut, still avoids what stands beside it.
TEST(RandomPattern, DifferencesAvoidTheOtherEdgesToo) {
  const Rows base = random_rows("neighbour:2", 40);
  for (const char* text :
       {"random:5-global:cls,cols|neighbour:2", "neighbour:2|(random:5-global:cls,cols)"}) {
    const Rows rows = random_rows(text, 40);
    for (size_t i = 0; i < rows.size(); ++i) {
      // Five, or four when the first token was drawn and taken away again.
      const size_t more = rows[i].size() - base[i].size();
      ASSERT_TRUE(more == 5 || more == 4) << text << ", row " << i;
    }
  }
}

TEST(RandomPattern, ShorthandsAreTheUnionsTheyStandFor) {
  for (const int64_t n : {1, 5, 33, 70}) {
    const GraphKey key{7, 0, 2, 1};
    EXPECT_EQ(random_rows("bigbird:2,3,4", n, key),
              random_rows("global:first=2|neighbour:3|random:4", n, key));
    EXPECT_EQ(random_rows("bigbird:2,3,4|block:8", n, key),
              random_rows("global:first=2|neighbour:3|random:4|block:8", n, key));
    EXPECT_EQ(random_rows("longformer:2,3", n, key),
              random_rows("global:first=2|neighbour:3", n, key));
  }
}

TEST(RandomPattern, DrawsByKeyAlone) {
  const GraphKey key{7, 5, 2, 1};
  const auto rows = [](const char* text, const GraphKey& k, uint64_t sample) {
    return random_rows(text, 50, k, sample);
  };
  for (const char* text : {"random:3", "random:3,per=fixed"}) {
    const Rows want = rows(text, key, 9);
    EXPECT_EQ(rows(text, key, 9), want);
    EXPECT_NE(rows(text, {8, 5, 2, 1}, 9), want) << "seed";
    EXPECT_NE(rows(text, {7, 5, 3, 1}, 9), want) << "layer";
    EXPECT_NE(rows(text, {7, 5, 2, 0}, 9), want) << "head";
    EXPECT_EQ(rows(text, {7, 6, 2, 1}, 9), want) << "step";
    EXPECT_EQ(rows(text, key, 10), want) << "sample";
  }
  const Rows example = rows("random:3,per=example", key, 9);
  EXPECT_NE(rows("random:3,per=example", key, 10), example);
  EXPECT_EQ(rows("random:3,per=example", {7, 6, 2, 1}, 9), example);
  const Rows step = rows("random:3,per=step", key, 9);
  EXPECT_NE(rows("random:3,per=step", {7, 6, 2, 1}, 9), step);
  EXPECT_EQ(rows("random:3,per=step", key, 10), step);
  EXPECT_NE(step, example);
}

TEST(RandomPattern, TextKeepsTheMode) {
  EXPECT_EQ(parse_pattern("random:3").text(), "random:3");
  EXPECT_EQ(parse_pattern("random:3,per=fixed").text(), "random:3");
  EXPECT_EQ(parse_pattern("random:3,per=example").text(), "random:3,per=example");
  EXPECT_EQ(parse_pattern("random:3,per=step").text(), "random:3,per=step");
  EXPECT_TRUE(parse_pattern("neighbour:2|random:3").differs_by_head());
  EXPECT_TRUE(parse_pattern("bigbird:1,1,1").differs_by_head());
  EXPECT_TRUE(parse_pattern("causal-random:3").differs_by_head());
  EXPECT_FALSE(parse_pattern("longformer:1,1|block:3").differs_by_head());
}

// Every candidate is drawn equally often: 5 of the 19 others, over 4000 heads. A count is binomial
// with mean 1052.6 and standard deviation 27.8; six of these for the largest of 19.
TEST(RandomPattern, EveryCandidateIsAsLikely) {
  constexpr int kHeads = 4000;
  const Pattern pattern = parse_pattern("random:5");
  std::map<int64_t, int> counts;
  std::map<std::pair<int64_t, int64_t>, int> pairs;
  for (int head = 0; head < kHeads; ++head) {
    const Columns row = row_of(pattern, {20, {}, {}, 0}, 11, {1, 0, 0, head});
    for (const int64_t j : row) {
      ++counts[j];
      for (const int64_t k : row) ++pairs[{j, k}];
    }
  }
  EXPECT_EQ(counts[11], kHeads);
  const double p = 5.0 / 19, both = p * 4 / 18;
  for (int64_t j = 0; j < 20; ++j) {
    if (j == 11) continue;
    EXPECT_NEAR(counts[j], kHeads * p, 6 * std::sqrt(kHeads * p * (1 - p))) << j;
    for (int64_t k = 0; k < j; ++k) {
      if (k == 11) continue;
      const int together = pairs[{j, k}];
      EXPECT_NEAR(together, kHeads * both, 6 * std::sqrt(kHeads * both * (1 - both)));
    }
  }
}

}  // namespace
}  // namespace filigree
