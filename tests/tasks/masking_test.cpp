// Masking: BERT's shares, what is never hidden, and that it is a pure function.
#include "tasks/task/masking.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "tasks/dataset/batch.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr int64_t kVocabulary = 1000;
constexpr SpecialIds kSpecials{.pad = 7, .unk = 0, .cls = 500, .sep = 999, .mask = 8};

/// Samples of words of one to three pieces, with ids that are no marks.
class Corpus {
 public:
  Corpus(int64_t samples, int64_t longest) {
    DatasetInfo info;
    info.vocabulary = kVocabulary;
    info.specials = kSpecials;
    info.tokenizer_hash = "0123456789abcdef";
    info.task = "text";
    info.max_length = longest + 2;
    DatasetWriter writer(info);
    RandomStream random(1, Purpose::test);
    for (int64_t s = 0; s < samples; ++s) {
      std::vector<int32_t> ids{kSpecials.cls}, words{-1}, classes{-1};
      const auto length = 1 + random.below(static_cast<uint64_t>(longest));
      for (int32_t word = 0; ids.size() <= length; ++word) {
        const uint64_t pieces = 1 + random.below(3);
        for (uint64_t p = 0; p < pieces && ids.size() <= length; ++p) {
          auto id = static_cast<int32_t>(random.below(kVocabulary));
          while (kSpecials.marks(id)) id = static_cast<int32_t>(random.below(kVocabulary));
          ids.push_back(id);
          words.push_back(word);
          classes.push_back(word);
        }
      }
      ids.push_back(kSpecials.sep);
      words.push_back(-1);
      classes.push_back(-1);
      writer.add(ids, words, {}, {}, {}, classes);
    }
    writer.save(folder_ / "data");
    data_ = TokenDataset::open(folder_ / "data");
  }
  Batch batch() const {
    std::vector<int64_t> all(static_cast<size_t>(data_->size()));
    std::iota(all.begin(), all.end(), 0);
    return batch(all);
  }
  Batch batch(const std::vector<int64_t>& samples) const { return make_batch(*data_, samples); }

 private:
  TemporaryFolder folder_;
  std::optional<TokenDataset> data_;
};

const Corpus& corpus() {
  static const Corpus made(600, 500);
  return made;
}

std::vector<int32_t> numbers(const Tensor& tensor) {
  const auto all = tensor.span<int32_t>();
  return {all.begin(), all.end()};
}

Batch hidden(const MaskingOptions& options, Batch batch, uint64_t seed = 3, int64_t epoch = 1) {
  hide_tokens(options, batch, seed, epoch);
  return batch;
}

/// What every token was, -1 where it is not hidden.
std::vector<int32_t> targets_of(const Batch& batch) {
  std::vector<int32_t> targets(static_cast<size_t>(batch.tokens()), -1);
  const auto tokens = numbers(batch.hidden), ids = numbers(batch.hidden_ids);
  EXPECT_TRUE(std::ranges::is_sorted(tokens));
  EXPECT_EQ(tokens.size(), ids.size());
  for (size_t i = 0; i < tokens.size(); ++i) targets.at(static_cast<size_t>(tokens[i])) = ids[i];
  return targets;
}

/// Expects `count` of n draws of chance p, within five standard deviations.
void expect_share(const char* what, double count, double n, double p) {
  EXPECT_NEAR(count, n * p, 5 * std::sqrt(n * p * (1 - p))) << what;
}

struct Counts {
  double tokens = 0, hidden = 0, masked = 0, same = 0, other = 0;
  std::map<int32_t, int64_t> drawn;  // pieces in the place of others
};
Counts count(const Batch& before, const Batch& after) {
  Counts c;
  const auto ids = numbers(before.ids), seen = numbers(after.ids);
  const auto targets = targets_of(after), words = numbers(before.words);
  const auto classes = numbers(after.classes);
  for (size_t t = 0; t < ids.size(); ++t) {
    c.tokens += words[t] >= 0;
    if (targets[t] < 0) {
      EXPECT_EQ(ids[t], seen[t]);
      EXPECT_EQ(classes[t], words[t]);
      continue;
    }
    EXPECT_GE(words[t], 0) << "a special token is hidden";
    EXPECT_EQ(targets[t], ids[t]);
    EXPECT_EQ(classes[t], -1);
    ++c.hidden;
    if (seen[t] == kSpecials.mask) {
      ++c.masked;
    } else if (seen[t] == ids[t]) {
      ++c.same;
    } else {
      EXPECT_FALSE(kSpecials.marks(seen[t]));
      ++c.other;
      ++c.drawn[seen[t]];
    }
  }
  return c;
}

}  // namespace

TEST(Masking, HasBertsShares) {
  for (const bool whole_words : {false, true}) {
    for (const double share : {0.15, 0.4}) {
      SCOPED_TRACE(::testing::Message() << whole_words << " " << share);
      const Batch before = corpus().batch();
      const Batch after = hidden({share, whole_words, false}, corpus().batch());
      const Counts c = count(before, after);
      EXPECT_GT(c.tokens, 100000);
      // A sample's number is floor(n share + u), give or take part of a word: it varies by less
      // than 3 tokens around n share.
      EXPECT_NEAR(c.hidden, share * c.tokens, 5 * 3 * std::sqrt(600.0));
      expect_share("[MASK]", c.masked, c.hidden, 0.8);
      const double replaced = 1 - 1.0 / (kVocabulary - 4);  // a draw may be the token itself
      expect_share("another", c.other, c.hidden, 0.1 * replaced);
      expect_share("the same", c.same, c.hidden, 0.1 + 0.1 * (1 - replaced));
      // Uniform over the pieces but four: chi square, with its mean and deviation.
      const double each = c.other / (kVocabulary - 4);
      double chi = 0;
      for (int32_t id = 0; id < kVocabulary; ++id) {
        if (kSpecials.marks(id)) continue;
        const auto found = c.drawn.find(id);
        const double n = found == c.drawn.end() ? 0 : static_cast<double>(found->second);
        chi += (n - each) * (n - each) / each;
      }
      EXPECT_NEAR(chi, kVocabulary - 5, 5 * std::sqrt(2.0 * (kVocabulary - 5)));
    }
  }
}

TEST(Masking, HidesOneTokenOfASampleAtLeast) {
  const Corpus shortest(300, 3);
  for (const bool whole_words : {false, true}) {
    const Batch after = hidden({0.01, whole_words, false}, shortest.batch());
    const auto offsets = std::as_const(after.offsets).span<int64_t>();
    const auto targets = targets_of(after);
    for (size_t b = 0; b < after.samples.size(); ++b) {
      const auto first = targets.begin() + offsets[b], last = targets.begin() + offsets[b + 1];
      EXPECT_GE(std::count_if(first, last, [](int32_t id) { return id >= 0; }), 1) << b;
    }
  }
}

TEST(Masking, EveryTokenIsHiddenAsOften) {
  // Over many epochs, whatever its place and the length of its word.
  const Batch before = corpus().batch({0, 1, 2, 3});
  for (const bool whole_words : {false, true}) {
    constexpr int kEpochs = 2000;
    std::vector<int> times(static_cast<size_t>(before.tokens()));
    for (int epoch = 1; epoch <= kEpochs; ++epoch) {
      const auto targets =
          targets_of(hidden({0.15, whole_words, false}, corpus().batch({0, 1, 2, 3}), 3, epoch));
      for (size_t t = 0; t < times.size(); ++t) times[t] += targets[t] >= 0;
    }
    const auto words = numbers(before.words);
    for (size_t t = 0; t < times.size(); ++t) {
      if (words[t] < 0) {
        EXPECT_EQ(times[t], 0);
      } else {
        EXPECT_NEAR(times[t], 0.15 * kEpochs, 6 * std::sqrt(0.15 * 0.85 * kEpochs)) << t;
      }
    }
  }
}

TEST(Masking, WholeWordsHaveAllTheirPiecesHidden) {
  const Batch after = hidden({0.15, true, false}, corpus().batch());
  const auto offsets = std::as_const(after.offsets).span<int64_t>();
  const auto targets = targets_of(after), words = numbers(after.words);
  int64_t of_several = 0;
  for (size_t b = 0; b < after.samples.size(); ++b) {
    std::map<int32_t, std::set<bool>> states;
    std::map<int32_t, int64_t> pieces;
    for (auto t = static_cast<size_t>(offsets[b]); t < static_cast<size_t>(offsets[b + 1]); ++t) {
      states[words[t]].insert(targets[t] >= 0);
      pieces[words[t]] += targets[t] >= 0;
    }
    for (const auto& [word, seen] : states) EXPECT_EQ(seen.size(), 1u) << b << " " << word;
    for (const auto& [word, n] : pieces) of_several += n > 1;
  }
  EXPECT_GT(of_several, 1000);
}

TEST(Masking, IsAPureFunctionOfSeedEpochAndSample) {
  const MaskingOptions options;
  const Batch once = hidden(options, corpus().batch({5, 9, 2}));
  const auto same = [](const Batch& a, const Batch& b) {
    return numbers(a.ids) == numbers(b.ids) && targets_of(a) == targets_of(b);
  };
  EXPECT_TRUE(same(once, hidden(options, corpus().batch({5, 9, 2}))));
  EXPECT_FALSE(same(once, hidden(options, corpus().batch({5, 9, 2}), 3, 2)));
  EXPECT_FALSE(same(once, hidden(options, corpus().batch({5, 9, 2}), 4, 1)));
  // In another batch a sample is hidden the same.
  const Batch alone = hidden(options, corpus().batch({9}));
  const auto offsets = std::as_const(once.offsets).span<int64_t>();
  const auto ids = numbers(once.ids);
  EXPECT_EQ(numbers(alone.ids),
            std::vector<int32_t>(ids.begin() + offsets[1], ids.begin() + offsets[2]));
}

TEST(Masking, RefusesSharesThatHideNothingOrAll) {
  for (const double share : {0.0, 1.0, -0.1, std::nan("")}) {
    EXPECT_THAT(error_of([&] { check(MaskingOptions{.share = share}); }),
                HasSubstr("[train.mask_share] expected a share between 0 and 1"));
  }
}

}  // namespace filigree
