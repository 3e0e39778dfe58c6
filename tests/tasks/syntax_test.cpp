// Syntax: every link of a text ends up between words that have tokens, whatever the tokenizer does.
#include "tasks/syntax/syntax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "tasks/dataset/sample.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Words of one byte with a space behind them.
Syntax words_of(int32_t count) {
  Syntax syntax;
  for (int64_t w = 0; w < count; ++w) syntax.words.push_back({2 * w, 2 * w + 1});
  return syntax;
}

std::vector<Piece> one_each(const Syntax& syntax) {
  std::vector<Piece> pieces;
  for (size_t w = 0; w < syntax.words.size(); ++w) {
    pieces.push_back({9, static_cast<int32_t>(w), syntax.words[w].begin, syntax.words[w].end});
  }
  return pieces;
}

/// Links of the forest and beyond it, as a set; counts each so that none stands twice.
std::multiset<std::pair<int32_t, int32_t>> all_links(const WordForest& forest) {
  std::multiset<std::pair<int32_t, int32_t>> links;
  for (size_t w = 0; w < forest.heads.size(); ++w) {
    const int32_t word = static_cast<int32_t>(w), head = forest.heads[w];
    if (head >= 0) links.emplace(std::min(word, head), std::max(word, head));
  }
  for (const WordLink& link : forest.links) links.emplace(link.a, link.b);
  return links;
}

TreeWord tree_word(int32_t head, ByteSpan span) { return {"", "", head, span, ""}; }

}  // namespace

TEST(Syntax, ATreeKeepsItsHeads) {
  const std::vector<TreeWord> tree{tree_word(1, {0, 1}), tree_word(3, {2, 3}), tree_word(1, {4, 5}),
                                   tree_word(-1, {6, 7}), tree_word(3, {8, 9})};
  const Syntax syntax = syntax_of_tree(tree);
  const WordForest forest = span_forest(syntax, one_each(syntax));
  EXPECT_THAT(forest.heads, ElementsAre(1, 3, 1, -1, 3));
  EXPECT_THAT(forest.links, IsEmpty());
}

TEST(Syntax, AContractionKeepsTheLinksOfAllItsWords) {
  // "wanna" = want (root) + to, which hangs on the verb behind: 0 I, 1 wanna, 2 go.
  const std::vector<TreeWord> tree{tree_word(1, {0, 1}), tree_word(-1, {2, 7}),
                                   tree_word(3, {2, 7}), tree_word(0, {8, 10})};
  const Syntax syntax = syntax_of_tree(tree);
  ASSERT_EQ(syntax.words.size(), 3U);
  const WordForest forest = span_forest(syntax, one_each(syntax));
  EXPECT_THAT(forest.heads, ElementsAre(1, -1, 1));
  EXPECT_THAT(forest.links, ElementsAre(WordLink{0, 2}));
}

TEST(Syntax, CyclesAndComponentsLoseNoLink) {
  Syntax syntax = words_of(9);
  syntax.links = {{4, 2}, {0, 1}, {1, 2}, {2, 0}, {2, 4}, {4, 0}, {6, 7}, {7, 8}, {8, 6}};
  syntax.roots = {4};
  const WordForest forest = span_forest(syntax, one_each(syntax));
  const std::multiset<std::pair<int32_t, int32_t>> expected{{0, 1}, {0, 2}, {0, 4}, {1, 2},
                                                            {2, 4}, {6, 7}, {6, 8}, {7, 8}};
  EXPECT_EQ(all_links(forest), expected);
  EXPECT_EQ(forest.heads[4], -1);
  EXPECT_EQ(forest.heads[5], -1);  // a word on its own
  EXPECT_EQ(forest.links.size(), 3U);
}

TEST(Syntax, AWordWithoutAPieceCountsToThePieceThatCoversIt) {
  // "a ... b": the three full stops are words of their own, but one piece.
  Syntax syntax;
  syntax.words = {{0, 1}, {2, 3}, {3, 4}, {4, 5}, {6, 7}};
  syntax.links = {{0, 2}, {3, 4}, {1, 3}};
  const WordForest forest =
      span_forest(syntax, std::vector<Piece>{{9, 0, 0, 1}, {8, 1, 2, 5}, {9, 4, 6, 7}});
  const std::multiset<std::pair<int32_t, int32_t>> expected{{0, 1}, {1, 4}};
  EXPECT_EQ(all_links(forest), expected);
}

TEST(Syntax, AWordBeforeEveryPieceCountsToTheFirst) {
  Syntax syntax = words_of(3);
  syntax.links = {{0, 2}};
  const WordForest forest = span_forest(syntax, std::vector<Piece>{{9, 1, 2, 3}, {9, 2, 4, 5}});
  EXPECT_THAT(forest.heads, ElementsAre(-1, -1, 1));
}

TEST(Syntax, NoWordsAndNoPieces) {
  EXPECT_THAT(span_forest(Syntax(), {}).heads, IsEmpty());
  Syntax syntax = words_of(2);
  syntax.links = {{0, 1}};
  EXPECT_THAT(span_forest(syntax, {}).heads, ElementsAre(-1, -1));
}

TEST(Syntax, PairsAndCutsKeepTheLinksOfWhatIsLeft) {
  TokenizerOptions options;
  options.kind = TokenizerKind::word;
  const Tokenizer tokenizer = Tokenizer::train(options, std::vector<std::string>{"a b c d"});
  Syntax first = words_of(4), second = words_of(3);
  first.links = {{0, 1}, {1, 2}, {0, 2}, {2, 3}, {0, 3}};
  second.links = {{0, 1}, {1, 2}, {0, 2}};
  first.unparsed = {{4, 7}};
  const std::vector<Syntax> syntax{first, second};
  const Sample whole = make_sample("t", tokenizer, {"a b c d", "a b c"}, 20, syntax);
  EXPECT_THAT(whole.words, ElementsAre(-1, 0, 1, 2, 3, -1, 4, 5, 6, -1));
  EXPECT_THAT(whole.heads, ElementsAre(-1, -1, 0, 0, 0, -1, -1, 4, 4, -1));
  EXPECT_THAT(whole.links, ElementsAre(1, 2, 2, 3, 5, 6));
  EXPECT_EQ(whole.unparsed, 2);
  const Sample cut = make_sample("t", tokenizer, {"a b c d", "a b c"}, 8, syntax);
  EXPECT_THAT(cut.words, ElementsAre(-1, 0, 1, 2, -1, 4, 5, -1));
  EXPECT_THAT(cut.heads, ElementsAre(-1, -1, 0, 0, -1, -1, 4, -1));
  EXPECT_THAT(cut.links, ElementsAre(1, 2));
  EXPECT_EQ(cut.unparsed, 1);
}

}  // namespace filigree
