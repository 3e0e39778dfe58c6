// bigbird and longformer: names for unions.
#include <fmt/format.h>

#include "attention/patterns/kind.h"

namespace filigree {

namespace {

/// A union that prints as its shorthand.
class Shorthand final : public PatternNode {
 public:
  Shorthand(std::string text, Pattern pattern)
      : text_(std::move(text)), pattern_(std::move(pattern)) {}
  void row(const SequenceView& sequence, int64_t i, const GraphKey& key, const Runs& taken,
           Runs& out) const override {
    pattern_.root().row(sequence, i, key, taken, out);
  }
  std::string text() const override { return text_; }
  bool differs_by_head() const override { return pattern_.differs_by_head(); }
  int turn() const override { return pattern_.root().turn(); }
  unsigned reads() const override { return pattern_.reads(); }
  std::span<const std::shared_ptr<const PatternNode>> union_parts() const override {
    return pattern_.root().union_parts();
  }

 private:
  std::string text_;
  Pattern pattern_;
};

}  // namespace

PatternKind bigbird_pattern() {
  return {{"bigbird", "bigbird:g,w,r",
           "global:first=g | neighbour:w | random:r (Zaheer et al. 2020, token by token)"},
          [](PatternArguments& arguments) {
            arguments.expect_count(3, 3);
            const int64_t g = arguments.number(0, "globals", 0),
                          w = arguments.number(1, "reach", 0),
                          r = arguments.number(2, "random tokens", 0);
            return std::make_shared<Shorthand>(
                fmt::format("bigbird:{},{},{}", g, w, r),
                parse_pattern(fmt::format("global:first={}|neighbour:{}|random:{}", g, w, r)));
          }};
}

PatternKind longformer_pattern() {
  return {{"longformer", "longformer:g,w", "global:first=g | neighbour:w (Beltagy et al. 2020)"},
          [](PatternArguments& arguments) {
            arguments.expect_count(2, 2);
            const int64_t g = arguments.number(0, "globals", 0),
                          w = arguments.number(1, "reach", 0);
            return std::make_shared<Shorthand>(
                fmt::format("longformer:{},{}", g, w),
                parse_pattern(fmt::format("global:first={}|neighbour:{}", g, w)));
          }};
}

}  // namespace filigree
