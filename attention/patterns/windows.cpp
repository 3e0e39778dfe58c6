// dense, self, neighbour, dilated, block, causal: patterns that are a function of (n, i) alone.
#include <algorithm>
#include <fmt/format.h>

#include "attention/patterns/kind.h"

namespace filigree {

PatternKind dense_pattern() {
  return {{"dense", "dense", "every token"}, [](PatternArguments& arguments) {
            arguments.expect_count(0, 0);
            return simple_pattern("dense",
                                  [](int64_t n, int64_t, Runs& out) { append_run(out, 0, n); });
          }};
}

PatternKind self_pattern() {
  return {{"self", "self", "the token itself"}, [](PatternArguments& arguments) {
            arguments.expect_count(0, 0);
            return simple_pattern("self",
                                  [](int64_t, int64_t i, Runs& out) { append_run(out, i, i + 1); });
          }};
}

PatternKind causal_pattern() {
  return {{"causal", "causal", "the token and everything before it"},
          [](PatternArguments& arguments) {
            arguments.expect_count(0, 0);
            return simple_pattern("causal",
                                  [](int64_t, int64_t i, Runs& out) { append_run(out, 0, i + 1); });
          }};
}

PatternKind block_pattern() {
  return {{"block", "block:b", "tokens of the same block of b"},
          [](PatternArguments& arguments) {
            arguments.expect_count(1, 1);
            const int64_t size = arguments.number(0, "block size", 1);
            return simple_pattern(fmt::format("block:{}", size),
                                  [size](int64_t n, int64_t i, Runs& out) {
                                    const int64_t first = i / size * size;
                                    append_run(out, first, std::min(n, first + size));
                                  });
          },
          {"0"},
          1};
}

PatternKind dilated_pattern() {
  return {{"dilated", "dilated:w,s", "tokens at distance s, 2s, .., ws on both sides"},
          [](PatternArguments& arguments) {
            arguments.expect_count(2, 2);
            const int64_t reach = arguments.number(0, "reach", 0);
            const int64_t step = arguments.number(1, "step", 1);
            return simple_pattern(fmt::format("dilated:{},{}", reach, step),
                                  [reach, step](int64_t n, int64_t i, Runs& out) {
                                    const int64_t left = std::min(reach, i / step);
                                    for (int64_t k = left; k >= 1; --k) {
                                      append_run(out, i - k * step, i - k * step + 1);
                                    }
                                    const int64_t right = std::min(reach, (n - 1 - i) / step);
                                    for (int64_t k = 1; k <= right; ++k) {
                                      append_run(out, i + k * step, i + k * step + 1);
                                    }
                                  });
          },
          {"0"}};
}

PatternKind neighbour_pattern() {
  return {
      {"neighbour", "neighbour:w | neighbour:l,r [,edge=truncate|shift]",
       "tokens at most w away (l to the left, r to the right); at a border the window is cut off "
       "or, with edge=shift, moved inside"},
      [](PatternArguments& arguments) {
        const std::string edge = arguments.take_choice("edge", {"truncate", "shift"});
        arguments.expect_count(1, 2);
        const int64_t left = arguments.number(0, "reach", 0);
        const bool even = arguments.count() == 1;
        const int64_t right = even ? left : arguments.number(1, "right reach", 0);
        const bool shift = edge == "shift";
        const std::string text = (even ? fmt::format("neighbour:{}", left)
                                       : fmt::format("neighbour:{},{}", left, right)) +
                                 (shift ? ",edge=shift" : "");
        return simple_pattern(text, [=](int64_t n, int64_t i, Runs& out) {
          int64_t lo = i - std::min(left, i), hi = std::min(n - 1 - i, right) + i + 1;
          if (shift) {
            const int64_t width = std::min(n, std::min(left, n) + std::min(right, n) + 1);
            lo = std::clamp(i - std::min(left, n), int64_t{0}, n - width);
            hi = lo + width;
          }
          append_run(out, lo, hi);
        });
      },
      {"0", "1"}};
}

}  // namespace filigree
