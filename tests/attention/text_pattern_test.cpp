// syntax and lexical against their definitions, over random sentences with trees.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>

#include "attention/placement.h"
#include "core/error.h"
#include "tests/attention/pattern_sets.h"
#include "tests/attention/text_sequence.h"

namespace filigree {
namespace {

using namespace testing_attention;
using testing::HasSubstr;

/// Rows of a pattern are the same whether it is bound to the sequence or not.
void expect_rows(const std::string& text, const SequenceView& sequence, const Definition& sees) {
  const Pattern pattern = parse_pattern(text), bound = pattern.bind(sequence);
  EXPECT_EQ(pattern.text(), text);
  EXPECT_EQ(bound.text(), text);
  for (int64_t i = 0; i < sequence.length; ++i) {
    const Columns wanted = row_by(sees, sequence.length, i);
    ASSERT_EQ(row_of(bound, sequence, i), wanted) << text << ", row " << i;
    ASSERT_EQ(row_of(pattern, sequence, i), wanted) << text << ", row " << i << ", not bound";
  }
}

/// Edges between two words in the tree taken as undirected, by relaxing every link n times.
std::map<std::pair<int32_t, int32_t>, int64_t> tree_distances(const TextSequence& text) {
  std::map<int32_t, int32_t> head_of;
  for (size_t i = 0; i < text.words.size(); ++i) {
    if (text.words[i] >= 0) head_of[text.words[i]] = text.heads[i];
  }
  std::map<std::pair<int32_t, int32_t>, int64_t> distances;
  for (const auto& [from, ignored] : head_of) {
    std::map<int32_t, int64_t> to{{from, 0}};
    for (size_t round = 0; round < head_of.size(); ++round) {
      for (const auto& [word, head] : head_of) {
        if (head < 0) continue;
        for (const auto& [a, b] : {std::pair(word, head), std::pair(head, word)}) {
          if (to.contains(a) && (!to.contains(b) || to[b] > to[a] + 1)) to[b] = to[a] + 1;
        }
      }
    }
    for (const auto& [word, distance] : to) distances[{from, word}] = distance;
  }
  return distances;
}

TEST(SyntaxPattern, IsItsDefinition) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    for (const int64_t words : {0, 1, 2, 5, 23}) {
      // Words may be numbered from anywhere.
      const TextSequence text = random_text(seed, words, seed % 3 == 0 ? 40 : 0);
      const auto distances = tree_distances(text);
      for (const int64_t reach : {0, 1, 2, 3, 100}) {
        expect_rows("syntax:" + std::to_string(reach), text.view(),
                    [&](int64_t, int64_t i, int64_t j) {
                      if (i == j) return true;
                      const auto at = [&](int64_t k) { return text.words[static_cast<size_t>(k)]; };
                      if (at(i) < 0 || at(j) < 0) return false;
                      const auto found = distances.find({at(i), at(j)});
                      return found != distances.end() && found->second <= reach;
                    });
      }
    }
  }
}

// "the old dog barked": the and old hang on dog, dog on barked; dog has two pieces.
TEST(SyntaxPattern, LiteralTree) {
  const std::vector<int32_t> words{-1, 0, 1, 2, 2, 3, -1}, heads{-1, 2, 2, 3, 3, -1, -1};
  const SequenceView sequence{7, {}, {}, 0, words, heads};
  EXPECT_EQ(rows_of("syntax:0", sequence),
            (std::vector<Columns>{{0}, {1}, {2}, {3, 4}, {3, 4}, {5}, {6}}));
  EXPECT_EQ(rows_of("syntax:1", sequence),
            (std::vector<Columns>{
                {0}, {1, 3, 4}, {2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, {3, 4, 5}, {6}}));
  EXPECT_EQ(rows_of("syntax:2|noself", sequence)[1], (Columns{1, 2, 3, 4, 5}));
  EXPECT_EQ(rows_of("syntax:2|noself", sequence)[0], Columns{});
}

// The same with a link between "the" and "barked", as a link grammar may have it.
TEST(SyntaxPattern, LinksBeyondTheTree) {
  const std::vector<int32_t> words{-1, 0, 1, 2, 2, 3, -1}, heads{-1, 2, 2, 3, 3, -1, -1};
  const std::vector<int32_t> links{0, 3};
  SequenceView sequence{7, {}, {}, 0, words, heads};
  sequence.links = links;
  EXPECT_EQ(
      rows_of("syntax:1", sequence),
      (std::vector<Columns>{
          {0}, {1, 3, 4, 5}, {2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, {1, 3, 4, 5}, {6}}));
  SequenceBatch batch;
  const std::vector<int64_t> ends{0, 0, 1};
  const std::vector<int32_t> twice_words{-1, 0, 1, -1, 0, 1}, twice_heads{-1, -1, -1, -1, -1, -1};
  const std::vector<int32_t> second{0, 1};
  batch.offsets = Tensor::from(std::vector<int64_t>{0, 3, 6});
  batch.words = twice_words;
  batch.heads = twice_heads;
  batch.links = second;
  batch.link_offsets = ends;
  EXPECT_TRUE(view_of(batch, 0).links.empty());
  const auto graph = AttentionPlan("syntax:1", "all", "all", 1, 1).build(batch, 1, 0).front();
  EXPECT_EQ(graph->row(0, 1), (std::vector<int32_t>{1}));
  EXPECT_EQ(graph->row(0, 4), (std::vector<int32_t>{4, 5}));
}

TEST(LexicalPattern, IsItsDefinition) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const auto vectors = some_vectors(seed);
    for (const int64_t words : {0, 1, 4, 19}) {
      const TextSequence text = random_text(seed, words);
      const SequenceView sequence = text.view(vectors.get());
      const int64_t n = sequence.length;
      const auto cosine = [&](int64_t i, int64_t j) {
        return vectors->cosine(text.ids[static_cast<size_t>(i)], text.ids[static_cast<size_t>(j)]);
      };
      // j is better than k for i: a larger cosine, then nearer, then to the left.
      const auto better = [&](int64_t i, int64_t j, int64_t k) {
        if (cosine(i, j) != cosine(i, k)) return cosine(i, j) > cosine(i, k);
        if (std::abs(i - j) != std::abs(i - k)) return std::abs(i - j) < std::abs(i - k);
        return j < k;
      };
      for (const int64_t count : {0, 1, 2, 7, 1000}) {
        expect_rows("lexical:" + std::to_string(count), sequence,
                    [&](int64_t, int64_t i, int64_t j) {
                      if (i == j) return true;
                      int64_t ahead = 0;
                      for (int64_t k = 0; k < n; ++k) ahead += k != i && k != j && better(i, k, j);
                      return ahead < count;
                    });
      }
    }
  }
}

TEST(LexicalPattern, SameWordIsItsDefinition) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    for (const int64_t words : {0, 1, 3, 25}) {
      const TextSequence text = random_text(seed, words);
      expect_rows("lexical:same", text.view(), [&](int64_t, int64_t i, int64_t j) {
        const int32_t a = text.classes[static_cast<size_t>(i)];
        return i == j || (a >= 0 && a == text.classes[static_cast<size_t>(j)]);
      });
    }
  }
}

TEST(LexicalPattern, CosineIsSymmetricAndOfEqualTokensOne) {
  const auto vectors = some_vectors(3, 37);
  for (int32_t a = 0; a < kVocabulary; ++a) {
    for (int32_t b = 0; b < kVocabulary; ++b) {
      EXPECT_EQ(vectors->cosine(a, b), vectors->cosine(b, a));
    }
    EXPECT_NEAR(vectors->cosine(a, a), a == 5 ? 0 : 1, 1e-12);  // 5 is the zero vector
  }
  EXPECT_NEAR(vectors->cosine(2, 3), 1, 1e-12);  // 3 is twice 2
  // In blocks: the same bits.
  const std::vector<int32_t> others{0, 7, 5, 11, 2, 2};
  for (int32_t count = 0; count <= 9; ++count) {
    std::vector<int32_t> rows;
    for (int32_t r = 0; r < count; ++r) rows.push_back((r * 5 + 3) % kVocabulary);
    std::vector<double> out(rows.size() * others.size());
    vectors->cosines(rows, others, out);
    for (size_t k = 0; k < out.size(); ++k) {
      EXPECT_EQ(out[k], vectors->cosine(rows[k / others.size()], others[k % others.size()]));
    }
  }
}

// Bound parts of the algebra see the same sequence.
TEST(TextPatterns, AlgebraOfBoundPatterns) {
  const TextSequence text = random_text(5, 20);
  const auto vectors = some_vectors(5);
  const SequenceView sequence = text.view(vectors.get());
  for (const char* pattern : {"syntax:1|lexical:2-lexical:same", "syntax:2&lexical:4|random:2",
                              "neighbour:2|(syntax:1-neighbour:1)*0.5", "bigbird:1,1,1|syntax:1"}) {
    const Pattern free = parse_pattern(pattern), bound = free.bind(sequence);
    for (int64_t i = 0; i < sequence.length; ++i) {
      ASSERT_EQ(row_of(bound, sequence, i, {3, 0, 1, 2}), row_of(free, sequence, i, {3, 0, 1, 2}))
          << pattern << ", row " << i;
    }
    EXPECT_EQ(bound.differs_by_head(), free.differs_by_head());
  }
  EXPECT_TRUE(parse_pattern("self|lexical:2").needs_vectors());
  EXPECT_FALSE(parse_pattern("syntax:2|lexical:same").needs_vectors());
}

TEST(TextPatterns, SayWhatTheSequenceLacks) {
  const TextSequence text = random_text(1, 6);
  const auto vectors = some_vectors(1);
  const auto error_of = [&](const char* pattern, auto&& change) {
    SequenceView sequence = text.view(vectors.get());
    change(sequence);
    try {
      parse_pattern(pattern).bind(sequence);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(error_of("syntax:1", [](SequenceView& s) { s.heads = {}; }),
              HasSubstr("[pattern syntax:1] the sequence has no dependency heads"));
  EXPECT_THAT(error_of("self|syntax:2", [](SequenceView& s) { s.words = {}; }),
              HasSubstr("[pattern syntax:2] the sequence has no word index"));
  EXPECT_THAT(error_of("lexical:3", [](SequenceView& s) { s.ids = {}; }),
              HasSubstr("no token ids"));
  EXPECT_THAT(error_of("lexical:3", [](SequenceView& s) { s.vectors = nullptr; }),
              HasSubstr("[pattern lexical:3] there are no token vectors"));
  EXPECT_THAT(error_of("lexical:same", [](SequenceView& s) { s.classes = {}; }),
              HasSubstr("[pattern lexical:same] the sequence has no word classes"));
  EXPECT_THAT(error_of("lexical:same", [](SequenceView& s) { s.classes = s.classes.subspan(1); }),
              HasSubstr("expected word classes for"));
  std::vector<int32_t> ids(text.ids);
  ids[2] = kVocabulary;
  EXPECT_THAT(error_of("lexical:1", [&](SequenceView& s) { s.ids = ids; }),
              HasSubstr("token 12 has no vector: there are 12"));
}

}  // namespace
}  // namespace filigree
