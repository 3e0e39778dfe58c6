#include "attention/degrees/reaches.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace filigree {

namespace {

constexpr int64_t kEvery = 128;   // up to here every whole number
constexpr double kAnOctave = 16;  // reaches from there to twice as far

void expect_reach(int64_t reach) {
  if (reach >= 0 && reach <= std::numeric_limits<int32_t>::max()) return;
  throw ConfigError("degrees", fmt::format("the largest reach is {}", reach),
                    "give a number of tokens from 0 to 2147483647, such as half the longest "
                    "sequence");
}

}  // namespace

Reaches Reaches::up_to(int64_t largest) {
  expect_reach(largest);
  std::vector<int64_t> values(static_cast<size_t>(std::min(largest, kEvery)) + 1);
  std::iota(values.begin(), values.end(), 0);
  if (largest > kEvery) {
    const double octaves = std::log2(static_cast<double>(largest) / kEvery);
    const double steps = std::ceil(kAnOctave * octaves);
    for (double s = 1; s < steps; ++s) {
      values.push_back(std::llround(kEvery * std::exp2(octaves * s / steps)));
    }
    values.push_back(largest);
  }
  return Reaches(std::move(values));
}

Reaches::Reaches(std::vector<int64_t> values) : values_(std::move(values)) {
  const bool rises =
      std::adjacent_find(values_.begin(), values_.end(), std::greater_equal<>()) == values_.end();
  if (values_.empty() || values_.front() != 0 || !rises) {
    throw ConfigError("degrees", fmt::format("{} reaches that do not rise from 0", values_.size()),
                      "a grid is 0 and then ever larger reaches, each once");
  }
  expect_reach(values_.back());
}

}  // namespace filigree
