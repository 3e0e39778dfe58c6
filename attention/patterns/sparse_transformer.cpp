// strided, fixed: the two patterns of the Sparse Transformer (Child et al. 2019, section 4.2) with
// both of its attention heads united. Here in both directions; "& causal" gives the paper's own.
#include <algorithm>
#include <fmt/format.h>

#include "attention/patterns/kind.h"

namespace filigree {

// i sees j if |i - j| <= s (the paper's first head, stride l = s) or (i - j) mod s = 0 (its
// second). Cost O(n / s) a row.
PatternKind strided_pattern() {
  return {{"strided", "strided:s",
           "tokens at most s away, and every s-th token from the token on (Child et al. 2019; "
           "& causal for the original)"},
          [](PatternArguments& arguments) {
            arguments.expect_count(1, 1);
            const int64_t s = arguments.number(0, "stride", 1);
            return simple_pattern(
                fmt::format("strided:{}", s), [s](int64_t n, int64_t i, Runs& out) {
                  const int64_t lo = i - std::min(s, i), hi = i + std::min(s, n - 1 - i) + 1;
                  for (int64_t j = i % s; j < lo; j += s) append_run(out, j, j + 1);
                  append_run(out, lo, hi);
                  if (s >= n - i) return;
                  for (int64_t j = i + s; j < n; j += s) append_run(out, j, j + 1);
                });
          }};
}

// i sees j if floor(i / s) = floor(j / s) (the paper's first head) or j mod s >= s - c (its second:
// the last c tokens of every block sum it up). Cost O(n / s) a row.
PatternKind fixed_pattern() {
  return {{"fixed", "fixed:s [,c]",
           "tokens of the same block of s, and the last c tokens (1) of every block (Child et al. "
           "2019; & causal for the original)"},
          [](PatternArguments& arguments) {
            arguments.expect_count(1, 2);
            const int64_t s = arguments.number(0, "block size", 1);
            const bool given = arguments.count() == 2;
            const int64_t c = given ? arguments.number(1, "summary tokens", 1) : 1;
            if (c > s) {
              arguments.fail(fmt::format("a block of {} has no {} summary tokens", s, c),
                             arguments.item(1, "summary tokens").position);
            }
            return simple_pattern(
                given ? fmt::format("fixed:{},{}", s, c) : fmt::format("fixed:{}", s),
                [s, c](int64_t n, int64_t i, Runs& out) {
                  const int64_t own = i / s * s;
                  for (int64_t first = 0; first < n; first += s) {
                    append_run(out, first == own ? first : first + s - c, std::min(n, first + s));
                  }
                });
          }};
}

}  // namespace filigree
