// a*x: a keyed share of a pattern's edges.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "tests/attention/pattern_sets.h"
#include "tests/attention/text_sequence.h"

namespace filigree {
namespace {

using namespace testing_attention;

int64_t edges_of(const std::vector<Columns>& rows) {
  int64_t edges = 0;
  for (const Columns& row : rows) edges += static_cast<int64_t>(row.size());
  return edges;
}

TEST(Share, SharesAreNestedAndAsLargeAsTheySay) {
  const TextSequence text = random_text(1, 60);
  const std::vector<Columns> whole = rows_of("neighbour:20|noself", text.view());
  const auto all = static_cast<double>(edges_of(whole));
  std::vector<Columns> last(whole.size());
  for (const double share : {0.0, 0.1, 0.25, 0.5, 0.9, 1.0}) {
    const std::vector<Columns> rows =
        rows_of("neighbour:20*" + std::to_string(share) + "|noself", text.view());
    for (size_t i = 0; i < rows.size(); ++i) {
      ASSERT_TRUE(std::ranges::includes(rows[i], last[i]));
      ASSERT_TRUE(std::ranges::includes(whole[i], rows[i]));
    }
    // Each edge by itself: four standard deviations.
    EXPECT_NEAR(static_cast<double>(edges_of(rows)), share * all,
                4 * std::sqrt(all * share * (1 - share)) + 1e-9);
    last = rows;
  }
  EXPECT_EQ(last, whole);
}

TEST(Share, DependsOnTheTextAndTheSeedAlone) {
  const TextSequence text = random_text(1, 30), other = random_text(2, 30);
  const auto rows = [](const TextSequence& of, const GraphKey& key, uint64_t sample = 0) {
    SequenceView sequence = of.view();
    sequence.sample = sample;
    return rows_of("block:16*0.5", sequence, key);
  };
  const auto first = rows(text, {1, 0, 0, 0});
  EXPECT_EQ(rows(text, {1, 5, 2, 3}, 9), first);  // not on step, layer, head, sample
  EXPECT_NE(rows(text, {2, 0, 0, 0}), first);
  TextSequence changed = text;
  changed.ids[1] = changed.ids[1] % 5 + 1;
  if (changed.ids[1] == text.ids[1]) ++changed.ids[1];
  EXPECT_NE(rows(changed, {1, 0, 0, 0}), first);
  EXPECT_NE(rows(other, {1, 0, 0, 0}), first);
  EXPECT_FALSE(parse_pattern("block:16*0.5").differs_by_head());
}

TEST(Share, OfRandomEdgesIsDrawnForEveryHead) {
  EXPECT_TRUE(parse_pattern("self|random:2*0.5").differs_by_head());
  const TextSequence text = random_text(4, 40);
  const std::vector<Columns> base = rows_of("neighbour:1|random:3", text.view());
  const std::vector<Columns> rows = rows_of("neighbour:1|(random:3|random:1*0.5)", text.view());
  int64_t more = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_TRUE(std::ranges::includes(rows[i], base[i]));
    ASSERT_LE(rows[i].size(), base[i].size() + 1);  // never an edge twice
    more += static_cast<int64_t>(rows[i].size() - base[i].size());
  }
  const auto n = static_cast<double>(rows.size());
  EXPECT_NEAR(static_cast<double>(more), 0.5 * n, 4 * std::sqrt(0.25 * n));
}

TEST(Share, Text) {
  EXPECT_EQ(parse_pattern(" dense * 0.250 ").text(), "dense*0.25");
  EXPECT_EQ(parse_pattern("(neighbour:3-self)*1").text(), "(neighbour:3-self)*1");
  EXPECT_EQ(parse_pattern("(neighbour:3)*0").text(), "neighbour:3*0");
  EXPECT_EQ(parse_pattern("(dense*0.5)*0.25").text(), "(dense*0.5)*0.25");
  EXPECT_EQ(parse_pattern(parse_pattern("((dense*0.5)*0.25)*1").text()).text(),
            "((dense*0.5)*0.25)*1");
  EXPECT_EQ(parse_pattern("self|(dense-self)*0.123456789|noself").text(),
            "self|(dense-self)*0.123456789|noself");
  EXPECT_EQ(parse_pattern("random:2,per=step*.5&causal").text(), "random:2,per=step*0.5&causal");
}

}  // namespace
}  // namespace filigree
