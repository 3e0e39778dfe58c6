// random: exactly r further tokens, drawn by key.
#include <array>
#include <fmt/format.h>

#include "attention/patterns/draw_columns.h"
#include "attention/patterns/kind.h"

namespace filigree {

namespace {

enum class Per { fixed, example, step };

class Random final : public PatternNode {
 public:
  Random(int64_t count, Per per) : count_(count), per_(per) {}

  /// Cost O(r + n / 64 + runs of taken). With fewer than r candidates all of them are drawn.
  void row(const SequenceView& sequence, int64_t i, const GraphKey& key, const Runs& taken,
           Runs& out) const override {
    RowDraws draws(key_of_rows(sequence, key), i);
    draw_columns(draws, count_, sequence.length, taken, out);
  }

  std::string text() const override {
    const char* per = per_ == Per::fixed ? "" : per_ == Per::example ? ",per=example" : ",per=step";
    return fmt::format("random:{}{}", count_, per);
  }
  bool differs_by_head() const override { return true; }
  int turn() const override { return 2; }
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
