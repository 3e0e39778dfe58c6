// Plans of several rules: a pattern a layer and a head.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "attention/placement.h"
#include "core/error.h"
#include "tests/attention/pattern_sets.h"
#include "tests/attention/text_sequence.h"

namespace filigree {
namespace {

using namespace testing_attention;
using testing::HasSubstr;

AttentionPlan plan_of(std::string_view text, int layers = 4, int heads = 4) {
  return AttentionPlan(text, "all", "all", layers, heads);
}

TEST(PlanRules, EveryLayerAndHeadHasItsPattern) {
  const TextSequence text = random_text(8, 15);
  const SequenceView sequence = text.view();
  const SequenceBatch batch{Tensor::from(std::vector<int64_t>{0, sequence.length}),
                            text.ids,
                            text.special,
                            {},
                            text.words,
                            text.heads,
                            text.classes};
  const AttentionPlan plan = plan_of(
      "neighbour:2 @ layers=0-1 heads=0,2; syntax:1 @ layers=1 heads=1;random:2 @ layers=last:1");
  const auto pattern_at = [](int layer, int head) {
    if (layer <= 1 && (head == 0 || head == 2)) return "neighbour:2";
    if (layer == 1 && head == 1) return "syntax:1";
    return layer == 3 ? "random:2" : "dense";
  };
  const LayerGraphs graphs = plan.build(batch, 7, 0);
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 4; ++h) {
      const AttentionGraph& graph = *graphs[static_cast<size_t>(l)];
      EXPECT_EQ(plan.sparse(l, h), std::string(pattern_at(l, h)) != "dense");
      const Pattern pattern = parse_pattern(pattern_at(l, h));
      for (int64_t i = 0; i < sequence.length; ++i) {
        const auto row = graph.row(graph.group_of_head(h), i);
        ASSERT_EQ(Columns(row.begin(), row.end()), row_of(pattern, sequence, i, {7, 0, l, h}));
      }
    }
  }
  // Heads with the same edges share their memory; random ones have their own.
  EXPECT_EQ(graphs[0]->groups(), 2);
  EXPECT_EQ(graphs[1]->groups(), 3);
  EXPECT_EQ(graphs[2]->groups(), 1);
  EXPECT_EQ(graphs[3]->groups(), 4);
  EXPECT_EQ(graphs[0]->group_of_head(0), graphs[0]->group_of_head(2));
}

TEST(PlanRules, LayersWithTheSameRulesShareTheirGraph) {
  const AttentionPlan plan = plan_of("self @ heads=0; block:2 @ heads=2-3", 3);
  const LayerGraphs graphs =
      plan.build({Tensor::from(std::vector<int64_t>{0, 9}), {}, {}, {}}, 1, 0);
  EXPECT_EQ(graphs[0], graphs[1]);
  EXPECT_EQ(graphs[1], graphs[2]);
  EXPECT_EQ(graphs[0]->groups(), 3);
}

TEST(PlanRules, ARuleWithoutAPlaceHasTheOnesOfTheOptions) {
  const AttentionPlan plan("self @ heads=1; causal @ layers=3", "first:2", "0", 4, 2);
  std::string marks;
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 2; ++h) marks += plan.sparse(l, h) ? 'X' : '.';
  }
  EXPECT_EQ(marks, ".X.X..X.");
}

TEST(PlanRules, Text) {
  const auto text = [](std::string_view of) { return plan_of(of).pattern(); };
  EXPECT_EQ(text(" neighbour:2|self  @  heads=0-1   layers=only:2 ;block:4@layers=0"),
            "neighbour:2|self @ heads=0-1 layers=only:2; block:4 @ layers=0");
  EXPECT_EQ(text("neighbour:? | self match:density=0.2 @ layers=1"),
            "neighbour:? | self match:density=0.2 @ layers=1");
  for (const char* plan : {"self @ layers=0; dense @ layers=1-3 heads=first:2",
                           "random:?,per=step match:density=0.25"}) {
    EXPECT_EQ(text(text(plan)), plan);
  }
  EXPECT_EQ(plan_of("self @ layers=1-2; neighbour:1 @ layers=0 heads=3").describe(),
            "self in 1,2 layers of 4, all heads of 4; neighbour:1 in 0 layers of 4, 3 heads of 4");
  EXPECT_TRUE(plan_of("self @ layers=0; block:? match:density=0.5 @ layers=1").needs_match());
  EXPECT_FALSE(plan_of("self").needs_match());
  EXPECT_FALSE(plan_of("lexical:2 @ layers=none").needs_vectors());
}

struct Mistake {
  const char* text;
  size_t caret;
  const char* message;
};

class PlanMistake : public testing::TestWithParam<Mistake> {};
INSTANTIATE_TEST_SUITE_P(
    PlanRules, PlanMistake,
    testing::Values(
        Mistake{"self @", 6, "expected layers=L or heads=H"},
        Mistake{"self @ layer=2", 7, "got \"layer=2\""},
        Mistake{"self @ layers=0 2", 16, "got \"2\""},
        Mistake{"self @ layers=0 layers=1", 16, "for the second time"},
        Mistake{"self @ layers=4", 14, "\"4\" asks for more than the 4 there are"},
        Mistake{"self @ heads=3-1", 13, "\"3-1\" goes backwards"},
        Mistake{"self @ layers=0; blokc:2 @ layers=1", 17, "the nearest name is \"block\""},
        Mistake{"self @ layers=0; block:x @ layers=1", 23, "got \"x\""},
        Mistake{"self @ layers=0;", 16, "expected the name of a pattern"},
        Mistake{"self @ layers=0;(self @ heads=1", 16, "this parenthesis is not closed"},
        Mistake{"neighbour:?", 10, "an open number, but no density"},
        Mistake{"neighbour:3 match:density=0.2", 0, "no number is open"},
        Mistake{"neighbour:?,? match:density=0.2", 12, "a second open number"},
        Mistake{"neighbour:?|block:? match:density=0.2", 18, "a second open number"},
        Mistake{"global:every=? match:density=0.2", 13,
                "this number of global cannot be left open"},
        Mistake{"strided:? match:density=0.2", 8, "this number of strided cannot be left open"},
        Mistake{"dilated:3,? match:density=0.2", 10, "this number of dilated cannot be left open"},
        Mistake{"neighbour:? match:density=0", 26, "above 0 and at most 1, got \"0\""},
        Mistake{"neighbour:? match:density=22%", 26, "got \"22%\""},
        Mistake{"neighbour:? match:density= 1.5 @ layers=0", 27, "got \"1.5\""},
        Mistake{"rewired(neighbour:? match:density=0.2)", 20,
                "match stands behind the whole pattern"},
        Mistake{"self @ layers=0; (block:? match:density=0.2)", 26, "behind the whole pattern"},
        Mistake{"neighbour:? match:sparsity=0.2", 18, "expected density=x"}));

TEST_P(PlanMistake, IsShownAndPointedAt) {
  const Mistake& mistake = GetParam();
  try {
    plan_of(mistake.text);
    FAIL() << "\"" << mistake.text << "\" was read";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr(mistake.message));
    EXPECT_THAT(error.what(), HasSubstr("\n  " + std::string(mistake.text) + "\n  " +
                                        std::string(mistake.caret, ' ') + "^"));
  }
}

TEST(PlanRules, NoLayerAndHeadHasTwo) {
  try {
    plan_of("self @ layers=0-2; causal @ layers=2 heads=1");
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("layer 2, head 1 has two patterns: self and causal"));
  }
}

TEST(PlanRules, AnUnsolvedMatchBuildsNoGraph) {
  const AttentionPlan plan = plan_of("neighbour:? match:density=0.5");
  EXPECT_THROW(plan.build({Tensor::from(std::vector<int64_t>{0, 9}), {}, {}, {}}, 1, 0),
               ConfigError);
}

}  // namespace
}  // namespace filigree
