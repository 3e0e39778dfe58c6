#include "attention/degrees/density.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "core/error.h"

namespace filigree {

namespace {

void expect_globals(int64_t length, std::span<const int32_t> globals) {
  int64_t least = 0;
  for (const int32_t token : globals) {
    if (token < least || token >= length) {
      throw DataError("degrees",
                      fmt::format("global token {} of a sequence of {} tokens", token, length),
                      "name each once, ascending, counted from the sequence's first token");
    }
    least = int64_t{token} + 1;
  }
}

}  // namespace

DistanceCounts::DistanceCounts(int64_t reach) {
  if (reach < 0) {
    throw ConfigError("degrees", fmt::format("the largest reach is {}", reach),
                      "give a number of tokens >= 0");
  }
  at_.resize(static_cast<size_t>(reach) + 1);
}

void DistanceCounts::add(int64_t length, std::span<const int32_t> globals) {
  if (length < 0 || length > std::numeric_limits<int32_t>::max()) {
    throw ShapeError("degrees", fmt::format("a sequence of {} tokens", length),
                     "lengths are from 0 to 2147483647");
  }
  expect_globals(length, globals);
  if (length * length > std::numeric_limits<int64_t>::max() - pairs_) {
    throw ShapeError("degrees", "more pairs of tokens than can be counted",
                     "count a part of the sequences");
  }
  const auto count = static_cast<int64_t>(globals.size());
  pairs_ += length * length;
  always_ += length + count * (2 * length - count - 1);

  const int64_t last = std::min(reach(), length - 1);
  int64_t starts = count, ends = count;  // global tokens below n - d, and from d on
  for (int64_t d = 1; d <= last; ++d) {
    while (starts > 0 && globals[static_cast<size_t>(starts - 1)] >= length - d) --starts;
    while (ends > 0 && globals[static_cast<size_t>(count - ends)] < d) --ends;
    at_[static_cast<size_t>(d)] += 2 * (length - d - starts - ends);
  }
  for (size_t a = 0; a < globals.size(); ++a) {
    for (size_t b = a + 1; b < globals.size() && globals[b] - globals[a] <= last; ++b) {
      at_[static_cast<size_t>(globals[b] - globals[a])] += 2;
    }
  }
}

void DistanceCounts::add(const DistanceCounts& other) {
  if (other.reach() != reach()) {
    throw ShapeError("degrees",
                     fmt::format("counts to distance {} and to {}", reach(), other.reach()),
                     "count both for the same largest reach");
  }
  for (size_t d = 0; d < at_.size(); ++d) at_[d] += other.at_[d];
  always_ += other.always_;
  pairs_ += other.pairs_;
}

int64_t DistanceCounts::edges(int64_t reach) const {
  if (reach < 0 || reach > this->reach()) {
    throw ShapeError("degrees", fmt::format("reach {}, counted to {}", reach, this->reach()),
                     "count for the largest reach there is");
  }
  int64_t sum = always_;
  for (int64_t d = 1; d <= reach; ++d) sum += at(d);
  return sum;
}

double DistanceCounts::density(std::span<const double> g) const {
  expect_tokens();
  if (g.size() != at_.size()) {
    throw ShapeError("degrees",
                     fmt::format("expected a tail of {} values, got {}", at_.size(), g.size()),
                     "the counts and the tail need the same largest reach");
  }
  auto sum = static_cast<double>(always_);
  for (size_t d = 1; d < g.size(); ++d) sum += static_cast<double>(at_[d]) * g[d];
  return sum / static_cast<double>(pairs_);
}

std::vector<double> DistanceCounts::density_gradient() const {
  expect_tokens();
  std::vector<double> gradient;
  gradient.reserve(at_.size());
  for (const int64_t count : at_) {
    gradient.push_back(static_cast<double>(count) / static_cast<double>(pairs_));
  }
  return gradient;
}

void DistanceCounts::expect_feasible(std::string_view where, double density) const {
  expect_tokens();
  const double least = static_cast<double>(always_) / static_cast<double>(pairs_);
  if (density >= least && density <= 1) return;
  throw ConfigError(
      where, fmt::format("a density of {} cannot be had: it lies from {:.6f} to 1", density, least),
      "ask for a larger density, or for fewer global tokens: they and every token's edge to itself "
      "are always on");
}

void DistanceCounts::expect_tokens() const {
  if (pairs_ > 0) return;
  throw ShapeError("degrees", "the density of no token", "count at least one sequence");
}

}  // namespace filigree
