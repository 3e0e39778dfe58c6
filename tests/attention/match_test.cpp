// match:density: within 0.1 points of every density that can be had, on random splits.
#include "attention/match.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/attention/pattern_sets.h"
#include "tests/attention/text_sequence.h"

namespace filigree {
namespace {

using namespace testing_attention;
using testing::HasSubstr;

/// A split of random sentences, four a batch.
class Split {
 public:
  Split(int64_t sentences, int64_t longest) {
    for (int64_t s = 0; s < sentences; ++s) {
      const int64_t words = 1 + (s * 37) % longest;
      const TextSequence text = random_text(static_cast<uint64_t>(s), words);
      if (s % 4 == 0) {
        batches_.emplace_back();
        offsets_.push_back({0});
      }
      TextSequence& batch = batches_.back();
      const auto append = [](auto& to, const auto& from) {
        to.insert(to.end(), from.begin(), from.end());
      };
      append(batch.ids, text.ids);
      append(batch.words, text.words);
      append(batch.heads, text.heads);
      append(batch.classes, text.classes);
      append(batch.special, text.special);
      offsets_.back().push_back(static_cast<int64_t>(batch.ids.size()));
    }
  }

  SequenceBatch batch(size_t k) const {
    const TextSequence& b = batches_[k];
    return {Tensor::from(offsets_[k]), b.ids, b.special, {}, b.words, b.heads, b.classes};
  }
  MatchData data() const {
    return {static_cast<int64_t>(batches_.size()),
            [this](int64_t k, const auto& use) { use(batch(static_cast<size_t>(k))); }};
  }
  size_t batches() const { return batches_.size(); }

 private:
  std::vector<TextSequence> batches_;
  std::vector<std::vector<int64_t>> offsets_;
};

AttentionPlan plan_of(const std::string& text, int layers = 1, int heads = 1) {
  AttentionPlan plan(text, "all", "all", layers, heads);
  plan.set_vectors(some_vectors(1));
  return plan;
}

TEST(Match, IsWithinATenthOfAPointOnTheGraphsThemselves) {
  const Split split(60, 40);
  for (const char* open :
       {"neighbour:?", "neighbour:1,?", "neighbour:?,edge=shift", "block:?", "dilated:?,2|self",
        "random:?", "random:?,per=example", "neighbour:1|random:?", "lexical:?", "syntax:?",
        "global:first=?", "neighbour:?|global:cls", "(neighbour:?|syntax:1)&(block:30|causal)",
        "causal&random:?", "dense-neighbour:?|noself", "lexical:same|(self|lexical:?)-block:3",
        "rewired(neighbour:?)|global:cls", "neighbour:1|shuffled(random:?|syntax:1)"}) {
    for (const double density : {0.22, 0.3, 0.4}) {
      const std::string asked = std::string(open) + " match:density=" + std::to_string(density);
      const AttentionPlan plan = plan_of(asked, 2, 2);
      MatchResult solved;
      try {
        solved = solve_match(plan, split.data(), 5);
      } catch (const ConfigError& error) {  // such a density cannot be had
        EXPECT_THAT(error.what(), HasSubstr("no solution")) << asked;
        EXPECT_THAT(open, testing::AnyOf(HasSubstr("syntax"), HasSubstr("causal"),
                                         HasSubstr("dilated"), HasSubstr("same")));
        continue;
      }
      ASSERT_EQ(solved.rules.size(), 1U);
      EXPECT_NEAR(solved.rules[0].density, density, 0.001) << asked << " -> " << solved.pattern;
      const AttentionPlan again = plan_of(solved.pattern, 2, 2);
      EXPECT_FALSE(again.needs_match());
      EXPECT_EQ(again.pattern(), solved.pattern);  // the text is all that need be kept
      DensityMeter meter;
      for (size_t k = 0; k < split.batches(); ++k) meter.add(again.build(split.batch(k), 5, 0));
      EXPECT_NEAR(meter.mean(), density, 0.001) << asked << " -> " << solved.pattern;
    }
  }
}

TEST(Match, SolvesForWholeNumbersExactly) {
  const Split split(30, 30);
  for (const char* number : {"1", "4", "9"}) {
    const std::string text = std::string("neighbour:") + number + "|global:cls";
    const double density = density_on(parse_pattern(text), split.data(), {5, 0, 0, 0});
    const std::string asked =
        "neighbour:?|global:cls match:density=" + std::to_string(density + 4e-7);
    const MatchResult solved = solve_match(plan_of(asked), split.data(), 5);
    EXPECT_EQ(solved.pattern, text);
    EXPECT_EQ(solved.rules[0].density, density);
  }
}

TEST(Match, EveryRuleByItself) {
  const Split split(30, 30);
  const MatchResult solved =
      solve_match(plan_of("neighbour:? match:density=0.2 @ layers=0; self @ layers=1; "
                          "random:? match:density=0.35 @ layers=2 heads=1",
                          3, 2),
                  split.data(), 5);
  ASSERT_EQ(solved.rules.size(), 2U);
  EXPECT_EQ(solved.rules[1].asked, "random:? match:density=0.35");
  const AttentionPlan plan = plan_of(solved.pattern, 3, 2);
  DensityMeter meter;
  for (size_t k = 0; k < split.batches(); ++k) meter.add(plan.build(split.batch(k), 5, 0));
  EXPECT_NEAR(meter.layer(0), 0.2, 0.001);
  EXPECT_NEAR(meter.layer(2), (1 + 0.35) / 2, 0.001);  // head 0 is dense
}

// A rule without a layer asks nothing of the data, as a dense baseline should.
TEST(Match, RulesThatAreNowhereAreLeftAlone) {
  const AttentionPlan plan("lexical:? match:density=0.3", "none", "all", 2, 1);
  EXPECT_FALSE(plan.needs_match());
  const Split split(3, 3);
  const MatchResult solved = solve_match(plan, split.data(), 5);
  EXPECT_TRUE(solved.rules.empty());
  const AttentionPlan again(solved.pattern, "none", "all", 2, 1);
  EXPECT_EQ(again.build(split.batch(0), 5, 0)[1]->density(), 1);
}

TEST(Match, SolvesNumbersBehindNamedArguments) {
  const Split split(10, 10);
  EXPECT_THAT(solve_match(plan_of("random:per=step,? match:density=0.3"), split.data(), 5).pattern,
              HasSubstr("per=step"));
  EXPECT_THAT(
      solve_match(plan_of("((neighbour:?*0.5)*0.7)|noself match:density=0.2"), split.data(), 5)
          .pattern,
      HasSubstr("noself"));
}

TEST(Match, IsTheSameOnAnyNumberOfThreads) {
  const Split split(30, 30);
  const AttentionPlan plan = plan_of("lexical:?|random:2 match:density=0.3");
  const int threads = thread_count();
  set_thread_count(1);
  const std::string one = solve_match(plan, split.data(), 5).pattern;
  set_thread_count(3);
  EXPECT_EQ(solve_match(plan, split.data(), 5).pattern, one);
  set_thread_count(threads);
}

TEST(Match, SaysWhatCannotBeHad) {
  const Split split(20, 20);
  const auto error_of = [&](const char* text, const MatchData& data) {
    try {
      return solve_match(plan_of(text), data, 5).pattern;
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  const std::string low = error_of("neighbour:?|causal match:density=0.3", split.data());
  EXPECT_THAT(low, HasSubstr("has no solution on these data: neighbour:0|causal gives a density"));
  EXPECT_THAT(error_of("syntax:?&causal match:density=0.9", split.data()),
              HasSubstr("has no solution"));
  EXPECT_THAT(error_of("self|lexical:? match:density=1", split.data()),
              testing::StartsWith("self|lexical:"));
  EXPECT_THAT(error_of("neighbour:? match:density=0.3", {0, {}}),
              HasSubstr("there are no tokens to solve"));
}

}  // namespace
}  // namespace filigree
