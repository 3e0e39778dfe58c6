// irregular: every token its own window, frozen by position (attention/degrees/hard_reach.h).
#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "attention/degrees/hard_reach.h"
#include "attention/patterns/kind.h"
#include "core/error.h"

namespace filigree {

namespace {

double real_number(const PatternArguments& arguments, const PatternArguments::Item& item,
                   std::string_view what) {
  double value = 0;
  const char* end = item.value.data() + item.value.size();
  const auto read = std::from_chars(item.value.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end) {
    arguments.fail(fmt::format("expected {} as a number, got \"{}\"", what, item.value),
                   item.position);
  }
  return value;
}

}  // namespace

PatternKind irregular_pattern() {
  return {{"irregular", "irregular:u,r1,p1,r2,p2,..",
           "of all tokens the share p1 sees the tokens at most r1 away, p2 those at most r2 .. , "
           "spread evenly by position from u on, 0 to below 1 (a hardened degree distribution)"},
          [](PatternArguments& arguments) {
            const double shift = real_number(arguments, arguments.item(0, "shift"), "shift");
            std::vector<int64_t> reaches;
            std::vector<double> shares;
            for (size_t k = 1; k < arguments.count(); k += 2) {
              const int64_t reach = arguments.number(k, "reach", 0);
              const double share =
                  real_number(arguments, arguments.item(k + 1, "share of the tokens"), "share");
              if (reaches.empty() && reach > 0) {  // a grid of reaches begins at 0
                reaches.push_back(0);
                shares.push_back(0);
              }
              reaches.push_back(reach);
              shares.push_back(share);
            }
            if (reaches.empty()) arguments.fail("expected a reach and its share");
            try {
              const HardReach reach(Reaches(std::move(reaches)), std::move(shares), shift);
              return simple_pattern(reach.pattern(), [reach](int64_t n, int64_t i, Runs& out) {
                const int64_t r = reach.of(i);
                append_run(out, i - std::min(r, i), i + std::min(n - 1 - i, r) + 1);
              });
            } catch (const Error& error) {
              arguments.fail(error.what());
            }
          }};
}

}  // namespace filigree
