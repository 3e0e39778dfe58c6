// offsets: chosen distances, on both sides.
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attention/patterns/kind.h"

namespace filigree {

PatternKind offsets_pattern() {
  return {{"offsets", "offsets:d,d,..", "the tokens at these distances, on both sides"},
          [](PatternArguments& arguments) {
            std::vector<int64_t> distances;
            for (size_t k = 0; k < std::max<size_t>(1, arguments.count()); ++k) {
              distances.push_back(arguments.number(k, "distance", 0));
            }
            arguments.expect_count(1, distances.size());
            std::sort(distances.begin(), distances.end());
            distances.erase(std::unique(distances.begin(), distances.end()), distances.end());
            const std::string text = fmt::format("offsets:{}", fmt::join(distances, ","));
            return simple_pattern(text, [distances](int64_t n, int64_t i, Runs& out) {
              for (auto d = distances.rbegin(); d != distances.rend(); ++d) {
                if (*d <= i && *d > 0) append_run(out, i - *d, i - *d + 1);
              }
              for (const int64_t d : distances) {
                if (d < n - i) append_run(out, i + d, i + d + 1);
              }
            });
          }};
}

}  // namespace filigree
