// rewired(P), shuffled(P): what they keep of P, and that the rest is drawn evenly.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <rapidcheck.h>
#include <set>
#include <string>

#include "attention/placement.h"
#include "core/error.h"
#include "core/parallel.h"
#include "tests/attention/pattern_sets.h"
#include "tests/attention/text_sequence.h"

namespace filigree {
namespace {

using namespace testing_attention;

using Rows = std::vector<Columns>;

/// A sentence of exactly n tokens.
TextSequence text_of(uint64_t seed, int64_t n) {
  TextSequence text = random_text(seed, n);
  const auto length = static_cast<size_t>(n);
  for (auto* part : {&text.ids, &text.words, &text.heads, &text.classes}) part->resize(length);
  text.special.resize(length);
  return text;
}

/// Rows of a pattern that was made ready for the sequence and the key.
Rows drawn(const std::string& text, const SequenceView& sequence, const GraphKey& key = {}) {
  const Pattern pattern = parse_pattern(text).bind(sequence).draw(sequence, key);
  Rows rows;
  for (int64_t i = 0; i < sequence.length; ++i) rows.push_back(row_of(pattern, sequence, i, key));
  return rows;
}

std::vector<size_t> keys_of(const Rows& rows) {
  std::vector<size_t> sizes;
  for (const Columns& row : rows) sizes.push_back(row.size());
  return sizes;
}
/// How many queries see every token.
std::vector<size_t> queries_of(const Rows& rows) {
  std::vector<size_t> counts(rows.size());
  for (const Columns& row : rows) {
    for (const int64_t j : row) ++counts.at(static_cast<size_t>(j));
  }
  return counts;
}
std::vector<bool> self_of(const Rows& rows) {
  std::vector<bool> self;
  for (size_t i = 0; i < rows.size(); ++i) self.push_back(rows[i].contains(static_cast<int>(i)));
  return self;
}
bool holds(const Rows& rows, const Rows& parts) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!std::ranges::includes(rows[i], parts[i])) return false;
  }
  return true;
}
/// Share of the edges of a, but for those from a token to itself, that b has.
double kept(const Rows& a, const Rows& b) {
  double all = 0, both = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (const int64_t j : a[i]) {
      if (j == static_cast<int64_t>(i)) continue;
      ++all;
      both += b[i].contains(j);
    }
  }
  return both / all;
}

const std::vector<std::string> kPatterns{
    "neighbour:3",      "random:4",   "syntax:1",      "syntax:3",
    "lexical:same",     "dense",      "self",          "dense-dense",
    "neighbour:2-self", "block:4",    "causal-self",   "neighbour:5*0.3",
    "bigbird:1,1,2",    "dense-self", "neighbour:0,1", "global:special|syntax:1"};

/// A union that has a pattern X, and its other parts.
struct Frame {
  std::string text, others;
};
const std::vector<Frame> kFrames{{"X", "self"},
                                 {"X|noself", "self-self|noself"},
                                 {"X|global:cls", "global:cls"},
                                 {"global:special|X|noself", "global:special|noself"},
                                 {"(block:3|X)|syntax:1", "block:3|syntax:1"},
                                 {"(X|(dense-causal))&dense", "dense-causal"}};

/// Any union and key; use(P, name(P)) for the rows of every pattern in it, in sequences of several
/// lengths.
template <class Use>
void for_patterns_in_any_union(const std::string& name, const Use& use) {
  const Frame frame = *rc::gen::elementOf(kFrames);
  const GraphKey key{*rc::gen::arbitrary<uint64_t>(), 0, *rc::gen::inRange(0, 12), 3};
  const auto seed = *rc::gen::inRange<uint64_t>(0, 1000);
  for (const int64_t length : {1, 2, 3, 17, 64}) {
    const TextSequence text = text_of(seed, length);
    for (const std::string& pattern : kPatterns) {
      RC_LOG() << pattern << " in " << frame.text << ", length " << length << "\n";
      const auto rows = [&](const std::string& part) {
        std::string whole = frame.text;
        return drawn(whole.replace(whole.find('X'), 1, part), text.view(), key);
      };
      const Rows base = rows("(" + pattern + ")"), null = rows(name + "(" + pattern + ")");
      RC_ASSERT(keys_of(null) == keys_of(base));
      RC_ASSERT(self_of(null) == self_of(base));
      RC_ASSERT(holds(null, drawn(frame.others, text.view(), key)));
      use(base, null);
    }
  }
}

// Alone or in a union, before or behind the other parts: as of P in this place.
TEST(RewiredPattern, KeepsEveryDegree) {
  EXPECT_TRUE(rc::check([] {
    for_patterns_in_any_union("rewired", [](const Rows& base, const Rows& null) {
      RC_ASSERT(queries_of(null) == queries_of(base));
    });
  }));
}

TEST(ShuffledPattern, KeepsTheDegreesOfQueries) {
  EXPECT_TRUE(
      rc::check([] { for_patterns_in_any_union("shuffled", [](const Rows&, const Rows&) {}); }));
}

// Pairs are hashed where a table of all of them would be larger.
TEST(RewiredPattern, KeepsTheDegreesOfLongSequences) {
  const SequenceView sequence{3000, {}, {}, 0};
  for (const std::string others : {"self", "neighbour:1|global:first=2,rows"}) {
    const Rows base = drawn("offsets:700|" + others, sequence),
               null = drawn("rewired(offsets:700)|" + others, sequence);
    EXPECT_EQ(keys_of(null), keys_of(base));
    EXPECT_EQ(queries_of(null), queries_of(base));
    EXPECT_TRUE(holds(null, drawn(others, sequence)));
    EXPECT_LT(kept(drawn("offsets:700", sequence), null), 0.01);
  }
}

// Parts that draw beside all others come behind null models, wherever in the text these stand.
TEST(NullModels, UnionsWithRandomEdgesAreAsLarge) {
  const TextSequence text = text_of(3, 40);
  for (const char* name : {"rewired", "shuffled"}) {
    for (const char* frame :
         {"X|random:3", "random:3|X", "bigbird:1,1,3|X|noself", "random:2*0.5|(X|global:cls)"}) {
      const auto rows = [&](const std::string& part) {
        std::string whole = frame;
        return drawn(whole.replace(whole.find('X'), 1, part), text.view());
      };
      const Rows base = rows("neighbour:4"), null = rows(std::string(name) + "(neighbour:4)");
      EXPECT_NE(null, base) << name << " in " << frame;
      if (std::string(frame).find('*') == std::string::npos) {
        EXPECT_EQ(keys_of(null), keys_of(base)) << name << " in " << frame;
      }
    }
  }
}

// Of 3 to 6 edges a row among 63 or 399 others a tenth and a hundredth stay by chance.
TEST(NullModels, MoveMostEdgesOfASparseGraph) {
  const TextSequence text = text_of(1, 64), longer = text_of(2, 400);
  for (const std::string name : {"rewired", "shuffled"}) {
    for (const char* pattern : {"neighbour:3", "syntax:1", "random:4", "offsets:5,9"}) {
      const Rows base = drawn(pattern, text.view());
      EXPECT_LT(kept(base, drawn(name + "(" + pattern + ")", text.view())), 0.25) << pattern;
      const Rows large = drawn(pattern, longer.view());
      EXPECT_LT(kept(large, drawn(name + "(" + pattern + ")", longer.view())), 0.06) << pattern;
    }
    // Where nothing is free nothing moves.
    for (const char* pattern : {"dense", "self", "dense-self|noself", "dense-dense|noself"}) {
      EXPECT_EQ(drawn(name + "(" + pattern + ")", text.view()), drawn(pattern, text.view()));
    }
  }
  // Nor where the degrees leave one graph: token i sees all before it.
  EXPECT_EQ(drawn("rewired(causal)", text.view()), drawn("causal", text.view()));
}

/// A chi-square that is no alarm: it has that mean, and twice that variance.
double generous(double degrees) { return degrees + 8 * std::sqrt(2 * degrees) + 20; }

/// All graphs without self-edges that have the degrees of `base`.
std::vector<Rows> graphs_like(const Rows& base) {
  const auto n = static_cast<int64_t>(base.size());
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (i != j) pairs.emplace_back(i, j);
    }
  }
  std::vector<Rows> graphs;
  for (uint64_t edges = 0; edges >> pairs.size() == 0; ++edges) {
    Rows rows(base.size());
    for (size_t k = 0; k < pairs.size(); ++k) {
      if (edges >> k & 1) rows[static_cast<size_t>(pairs[k].first)].insert(pairs[k].second);
    }
    if (keys_of(rows) == keys_of(base) && queries_of(rows) == queries_of(base)) {
      graphs.push_back(rows);
    }
  }
  return graphs;
}

// Every graph with the same degrees is as likely, among them those that no exchange of two edges
// leads to: a circle of three has but one other direction.
TEST(RewiredPattern, EveryGraphIsAsLikely) {
  constexpr int kHeads = 8000;
  struct Small {
    const char* pattern;
    int64_t length;
    size_t graphs;
  };
  for (const Small& small :
       {Small{"neighbour:0,1-self|(global:cls,cols-neighbour:1)|noself", 3, 2},
        Small{"offsets:1,3|noself", 4, 9},  // what is missing is a derangement
        Small{"neighbour:1-self|noself", 4, 4}, Small{"neighbour:0,2-self|noself", 5, 13}}) {
    SCOPED_TRACE(small.pattern);
    const SequenceView sequence{small.length, {}, {}, 0};
    const std::vector<Rows> graphs = graphs_like(drawn(small.pattern, sequence));
    EXPECT_EQ(graphs.size(), small.graphs);
    std::map<Rows, int> counts;
    for (int head = 0; head < kHeads; ++head) {
      ++counts[drawn("rewired(" + std::string(small.pattern) + ")", sequence, {1, 0, 0, head})];
    }
    const double mean = kHeads / static_cast<double>(graphs.size());
    double chi_square = 0;
    int drawn_among_them = 0;
    for (const Rows& graph : graphs) {
      chi_square += (counts[graph] - mean) * (counts[graph] - mean) / mean;
      drawn_among_them += counts[graph];
    }
    EXPECT_EQ(drawn_among_them, kHeads);
    EXPECT_LT(chi_square, generous(static_cast<double>(graphs.size()) - 1));
  }
}

// In every row the columns outside of what is fixed are as likely, one by one and in pairs.
TEST(ShuffledPattern, EveryColumnIsAsLikely) {
  constexpr int kHeads = 4000;
  const SequenceView sequence{20, {}, {}, 0};
  std::vector<std::map<int64_t, int>> counts(20);
  std::map<std::pair<int64_t, int64_t>, int> pairs;  // of row 10
  for (int head = 0; head < kHeads; ++head) {
    const Rows rows = drawn("shuffled(neighbour:2)|global:cls,cols", sequence, {1, 0, 0, head});
    for (size_t i = 0; i < rows.size(); ++i) {
      for (const int64_t j : rows[i]) ++counts[i][j];
    }
    for (const int64_t j : rows[10]) {
      for (const int64_t k : rows[10]) ++pairs[{j, k}];
    }
  }
  const auto chi_square = [&](double p, const std::vector<int>& observed) {
    double sum = 0;
    for (const int count : observed) sum += (count - kHeads * p) * (count - kHeads * p);
    const double candidates = static_cast<double>(observed.size());
    return sum / (kHeads * p * (1 - p)) * (candidates - 1) / candidates;
  };
  for (size_t i = 2; i < 20; ++i) {  // beside itself and the first token there are 18
    const double own = static_cast<double>(std::min<size_t>(i + 2, 19) - i) + (i > 2 ? 2.0 : 1.0);
    std::vector<int> observed;
    for (int64_t j = 1; j < 20; ++j) {
      if (j != static_cast<int64_t>(i)) observed.push_back(counts[i][j]);
    }
    EXPECT_EQ(std::accumulate(observed.begin(), observed.end(), 0), kHeads * own) << i;
    EXPECT_LT(chi_square(own / 18, observed), generous(17)) << i;
  }
  std::vector<int> together;
  for (int64_t j = 1; j < 20; ++j) {
    for (int64_t k = 1; k < j; ++k) {
      if (j != 10 && k != 10) together.push_back(pairs[{j, k}]);
    }
  }
  const double both = 4.0 / 18 * 3 / 17;
  for (const int count : together) {
    EXPECT_NEAR(count, kHeads * both, 6 * std::sqrt(kHeads * both * (1 - both)));
  }
}

TEST(NullModels, DrawByKeyAndGraphAlone) {
  const TextSequence text = text_of(1, 40), other = text_of(2, 40);
  const GraphKey key{7, 5, 2, 1};
  for (const std::string name : {"rewired", "shuffled"}) {
    const auto rows = [&](const std::string& pattern, const TextSequence& of, const GraphKey& k,
                          uint64_t sample = 0) {
      SequenceView sequence = of.view();
      sequence.sample = sample;
      return drawn(name + "(" + pattern + ")", sequence, k);
    };
    const Rows want = rows("neighbour:3", text, key);
    EXPECT_EQ(rows("neighbour:3", text, key), want);
    EXPECT_NE(rows("neighbour:3", text, {8, 5, 2, 1}), want) << "seed";
    EXPECT_NE(rows("neighbour:3", text, {7, 5, 3, 1}), want) << "layer";
    EXPECT_NE(rows("neighbour:3", text, {7, 5, 2, 0}), want) << "head";
    EXPECT_EQ(rows("neighbour:3", text, {7, 6, 2, 1}), want) << "step";
    EXPECT_EQ(rows("neighbour:3", other, key, 9), want) << "sample";
    EXPECT_NE(rows("syntax:1", other, key), rows("syntax:1", text, key));
    EXPECT_EQ(rows("syntax:1", text, key, 9), rows("syntax:1", text, key)) << "sample";
    EXPECT_NE(rows("random:3,per=example", text, key, 9), rows("random:3,per=example", text, key));
    EXPECT_NE(rows("random:3,per=step", text, {7, 6, 2, 1}), rows("random:3,per=step", text, key));
  }
  EXPECT_NE(drawn("rewired(neighbour:3)", text.view(), key),
            drawn("shuffled(neighbour:3)", text.view(), key));
}

// Two sentences in which a token sees as many others do not get the same draw for that.
TEST(ShuffledPattern, SentencesAreDrawnByThemselves) {
  int rows = 0, same = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Rows a = drawn("shuffled(syntax:1)", text_of(2 * seed, 40).view()),
               b = drawn("shuffled(syntax:1)", text_of(2 * seed + 1, 40).view());
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].size() != b[i].size() || a[i].size() < 4) continue;
      ++rows;
      same += a[i] == b[i];
    }
  }
  EXPECT_GT(rows, 30);
  EXPECT_LT(same, rows / 10);  // by chance 1 of 9,139, or fewer
}

TEST(NullModels, RowsAreTheSameBoundOrNotAndInAPlan) {
  const TextSequence text = text_of(5, 30);
  const SequenceView sequence = text.view();
  const SequenceBatch batch{Tensor::from(std::vector<int64_t>{0, sequence.length}),
                            text.ids,
                            text.special,
                            {},
                            text.words,
                            text.heads,
                            text.classes};
  for (const std::string pattern :
       {"rewired(syntax:1)|global:cls", "neighbour:1|shuffled(syntax:1|lexical:same)|noself",
        "causal&rewired(neighbour:5)|random:1", "rewired(shuffled(neighbour:4))*0.5",
        "dense-shuffled(rewired(syntax:2)|global:special)", "rewired(syntax:1*0.5|random:2)"}) {
    const Pattern free = parse_pattern(pattern), bound = free.bind(sequence);
    EXPECT_TRUE(free.differs_by_head());
    EXPECT_EQ(bound.text(), free.text());
    const AttentionPlan plan(pattern + " @ layers=1 heads=1-2", "all", "all", 2, 3);
    const int threads = thread_count();
    set_thread_count(1);
    const LayerGraphs graphs = plan.build(batch, 3, 0);
    set_thread_count(2);
    const AttentionPlan again(plan.pattern(), "all", "all", 2, 3);
    const LayerGraphs others = again.build(batch, 3, 0);
    set_thread_count(threads);
    EXPECT_EQ(graphs[0]->density(), 1);
    for (int head = 0; head < 3; ++head) {
      const GraphKey key{3, 0, 1, head};
      const Rows want = head == 0 ? drawn("dense", sequence) : drawn(pattern, sequence, key);
      EXPECT_EQ(bound.draw(sequence, key).text(), free.text());
      for (int64_t i = 0; i < sequence.length; ++i) {
        const Columns& row = want[static_cast<size_t>(i)];
        const auto in_plan = graphs[1]->row(graphs[1]->group_of_head(head), i);
        ASSERT_EQ(Columns(in_plan.begin(), in_plan.end()), row) << pattern << ", row " << i;
        ASSERT_EQ(others[1]->row(others[1]->group_of_head(head), i), in_plan);
        if (head == 0) continue;
        ASSERT_EQ(row_of(bound, sequence, i, key), row) << pattern << ", row " << i;
        ASSERT_EQ(row_of(free, sequence, i, key), row) << pattern << ", row " << i;
      }
    }
  }
  EXPECT_THROW(parse_pattern("rewired(syntax:1)").bind({9, {}, {}, 0}), DataError);
  EXPECT_TRUE(parse_pattern("self|shuffled(lexical:2)").needs_vectors());
}

TEST(NullModels, Text) {
  for (const char* text :
       {"rewired(neighbour:3)", "shuffled(neighbour:3|global:cls)", "rewired(dense-self)*0.5",
        "rewired(shuffled(random:3,per=step))&causal|noself",
        "self|(causal-rewired(block:2&causal))", "(rewired(neighbour:3)*0.5)*0.5"}) {
    EXPECT_EQ(parse_pattern(text).text(), text);
  }
  EXPECT_EQ(parse_pattern(" rewired ( ( neighbour:3 ) | self ) ").text(),
            "rewired(neighbour:3|self)");
  // Self-edges are the whole pattern's.
  EXPECT_EQ(parse_pattern("rewired(causal|noself)").text(), "rewired(causal)|noself");
}

}  // namespace
}  // namespace filigree
