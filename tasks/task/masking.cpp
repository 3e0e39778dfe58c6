#include "tasks/task/masking.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "tasks/dataset/batch.h"

namespace filigree {

namespace {

/// Places of tokens that are hidden together.
struct Unit {
  int64_t first, count;  // of the candidates
};

/// The tokens of one sample that may be hidden, and which of these go together.
struct Candidates {
  std::vector<int64_t> tokens;  // places in the batch, ascending
  std::vector<Unit> units;

  Candidates(const Batch& batch, int64_t begin, int64_t end, bool whole_words) {
    const auto special = batch.special.span<uint8_t>();
    const auto words = batch.words.span<int32_t>();
    for (int64_t t = begin; t < end; ++t) {
      const auto at = static_cast<size_t>(t);
      if (special[at] != 0) continue;
      const bool goes_on =
          whole_words && !tokens.empty() && tokens.back() == t - 1 && words[at - 1] == words[at];
      if (goes_on) {
        ++units.back().count;
      } else {
        units.push_back({static_cast<int64_t>(tokens.size()), 1});
      }
      tokens.push_back(t);
    }
  }

  /// Places of the tokens to be hidden.
  std::vector<int64_t> choose(double share, RandomStream& random) {
    const auto count = static_cast<double>(tokens.size());
    const auto wanted =
        std::max<int64_t>(1, static_cast<int64_t>(std::floor(count * share + random.uniform())));
    std::vector<int64_t> chosen;
    const auto take = [&](const Unit& unit) {
      const auto from = tokens.begin() + unit.first;
      chosen.insert(chosen.end(), from, from + unit.count);
    };
    for (size_t i = 0; i < units.size() && std::ssize(chosen) < wanted; ++i) {
      std::swap(units[i], units[i + random.below(units.size() - i)]);
      const int64_t missing = wanted - std::ssize(chosen);
      if (units[i].count <= missing) {
        take(units[i]);
        continue;
      }
      if (random.below(static_cast<uint64_t>(units[i].count)) < static_cast<uint64_t>(missing)) {
        take(units[i]);
      }
      break;
    }
    if (chosen.empty()) take(units.front());
    return chosen;
  }
};

/// What stands in a hidden token's place.
class Replacement {
 public:
  Replacement(const SpecialIds& ids, int64_t vocabulary)
      : mask_(ids.mask), marks_{ids.pad, ids.cls, ids.sep, ids.mask} {
    std::ranges::sort(marks_);
    count_ = std::unique(marks_.begin(), marks_.end()) - marks_.begin();
    pieces_ = vocabulary - count_;
  }
  int32_t draw(int32_t id, RandomStream& random) const {
    const uint64_t tenth = random.below(10);
    if (tenth < 8) return mask_;
    if (tenth == 8 || pieces_ < 1) return id;
    auto piece = static_cast<int32_t>(random.below(static_cast<uint64_t>(pieces_)));
    for (int64_t m = 0; m < count_; ++m) piece += piece >= marks_[static_cast<size_t>(m)];
    return piece;
  }

 private:
  int32_t mask_;
  std::array<int32_t, 4> marks_;  // never drawn; ascending, so that draw() steps over each
  int64_t count_ = 0;             // of different ones
  int64_t pieces_ = 0;
};

}  // namespace

void check(const MaskingOptions& options) {
  if (options.share > 0 && options.share < 1) return;
  throw ConfigError("train.mask_share",
                    fmt::format("expected a share between 0 and 1, got {}", options.share),
                    "0.15 is usual");
}

void hide_tokens(const MaskingOptions& options, Batch& batch, uint64_t seed, int64_t epoch) {
  if (batch.vocabulary == 0) return;
  const Replacement replacement(batch.specials, batch.vocabulary);
  std::vector<int32_t> hidden, hidden_ids;
  const Tensor before = batch.ids.clone();
  int32_t* ids = batch.ids.data<int32_t>();
  int32_t* classes = batch.classes.defined() ? batch.classes.data<int32_t>() : nullptr;
  const auto offsets = std::as_const(batch.offsets).span<int64_t>();
  for (size_t b = 0; b < batch.samples.size(); ++b) {
    Candidates candidates(batch, offsets[b], offsets[b + 1], options.whole_words);
    if (candidates.tokens.empty()) continue;
    RandomStream random(seed, Purpose::masking,
                        {static_cast<uint64_t>(epoch), static_cast<uint64_t>(batch.samples[b])});
    for (const int64_t token : candidates.choose(options.share, random)) {
      hidden.push_back(static_cast<int32_t>(token));
      ids[token] = replacement.draw(ids[token], random);
      if (classes != nullptr) classes[token] = -1;
    }
  }
  std::ranges::sort(hidden);
  for (const int32_t token : hidden) hidden_ids.push_back(before.data<int32_t>()[token]);
  batch.hidden = Tensor::from(hidden);
  batch.hidden_ids = Tensor::from(hidden_ids);
}

}  // namespace filigree
