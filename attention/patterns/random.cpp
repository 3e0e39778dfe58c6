// random: exactly r further tokens, drawn by key.
#include "core/random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <fmt/format.h>

#include "attention/patterns/kind.h"

namespace filigree {

namespace {

enum class Per { fixed, example, step };

/// The random words of one row: philox(key, row)(0, 1, ..).
class RowDraws {
 public:
  RowDraws(uint64_t key, int64_t row) : key_(key), row_(static_cast<uint64_t>(row)) {}

  /// Uniform in [0, bound), without bias and mostly without a division (Lemire 2019, arXiv
  /// 1805.10941).
  int64_t below(uint32_t bound) {
    uint64_t product = uint64_t{word()} * bound;
    if (static_cast<uint32_t>(product) < bound) {
      const uint32_t least = -bound % bound;
      while (static_cast<uint32_t>(product) < least) product = uint64_t{word()} * bound;
    }
    return static_cast<int64_t>(product >> 32);
  }

 private:
  uint32_t word() {
    if (used_ == 4) {
      block_ = philox(key_, row_, counter_++);
      used_ = 0;
    }
    return block_[used_++];
  }

  uint64_t key_, row_, counter_ = 0;
  RandomBlock block_{};
  size_t used_ = 4;
};

class Random final : public PatternNode {
 public:
  Random(int64_t count, Per per) : count_(count), per_(per) {}

  /// Floyd's sampling without replacement among the tokens that are not taken: cost O(r + n / 64 +
  /// runs of taken). With fewer than r candidates all of them are taken.
  void row(const SequenceView& sequence, int64_t i, const GraphKey& key, const Runs& taken,
           Runs& out) const override {
    const int64_t candidates = sequence.length - size_of(taken);
    const int64_t wanted = std::min(count_, candidates);
    RowDraws draws(key_of_rows(sequence, key), i);
    thread_local std::vector<uint64_t> drawn;  // a bit for every candidate
    drawn.assign(static_cast<size_t>((candidates + 63) / 64), 0);
    const auto word = [](int64_t rank) -> uint64_t& {
      return drawn[static_cast<size_t>(rank / 64)];
    };
    for (int64_t top = candidates - wanted; top < candidates; ++top) {
      int64_t rank = draws.below(static_cast<uint32_t>(top) + 1);
      if (word(rank) >> (rank % 64) & 1) rank = top;
      word(rank) |= uint64_t{1} << (rank % 64);
    }
    // The k-th candidate is the k-th column outside `taken`.
    int64_t skipped = 0;
    size_t run = 0;
    for (size_t w = 0; w < drawn.size(); ++w) {
      for (uint64_t bits = drawn[w]; bits != 0; bits &= bits - 1) {
        const int64_t rank = static_cast<int64_t>(w) * 64 + std::countr_zero(bits);
        while (run < taken.size() && taken[run].lo <= rank + skipped) {
          skipped += taken[run].hi - taken[run].lo;
          ++run;
        }
        append_run(out, rank + skipped, rank + skipped + 1);
      }
    }
  }

  std::string text() const override {
    const char* per = per_ == Per::fixed ? "" : per_ == Per::example ? ",per=example" : ",per=step";
    return fmt::format("random:{}{}", count_, per);
  }
  bool differs_by_head() const override { return true; }
  bool avoids_taken() const override { return true; }
  unsigned reads() const override {
    return per_ == Per::step ? kReadsStep : per_ == Per::example ? kReadsSample : kReadsNothing;
  }

 private:
  /// One key for all rows; mixed once for those that come one behind the other.
  uint64_t key_of_rows(const SequenceView& sequence, const GraphKey& key) const {
    const Words words{key.seed,
                      static_cast<uint64_t>(Purpose::pattern),
                      static_cast<uint64_t>(key.layer),
                      static_cast<uint64_t>(key.head),
                      per_ == Per::example ? sequence.sample + 1 : 0,
                      per_ == Per::step ? key.step + 1 : 0};
    thread_local Words last{};
    thread_local uint64_t mixed = mix_key({0, 0, 0, 0, 0, 0});
    if (words != last) {
      last = words;
      mixed = mix_key({words[0], words[1], words[2], words[3], words[4], words[5]});
    }
    return mixed;
  }
  using Words = std::array<uint64_t, 6>;

  int64_t count_;
  Per per_;
};

}  // namespace

PatternKind random_pattern() {
  return {
      {"random", "random:r [,per=fixed|example|step]",
       "exactly r tokens that the rest of the pattern does not have, drawn anew for each layer, "
       "head and token; per=example also for each sample, per=step for each training step"},
      [](PatternArguments& arguments) {
        const std::string per = arguments.take_choice("per", {"fixed", "example", "step"});
        arguments.expect_count(1, 1);
        const Per kind = per == "example" ? Per::example : per == "step" ? Per::step : Per::fixed;
        return std::make_shared<Random>(arguments.number(0, "number of tokens", 0), kind);
      },
      {"0"}};
}

}  // namespace filigree
