// Grids, logits and distributions for the property tests of degrees.
#pragma once

#include <cmath>
#include <cstdint>
#include <rapidcheck.h>
#include <vector>

#include "attention/degrees/distribution.h"

namespace filigree::testing_degrees {

/// From `least` to below `end`, all of them from the first case on: by itself RapidCheck begins
/// with a part of the range.
template <class T>
T any_whole(T least, T end) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(least, end));
}

/// Every whole number to R, or some of them; R at most `largest`.
inline Reaches any_reaches(int64_t largest) {
  const int64_t top = any_whole<int64_t>(0, largest + 1);
  const bool every = *rc::gen::arbitrary<bool>();
  std::vector<int64_t> values{0};
  for (int64_t r = 1; r <= top; ++r) {
    if (every || r == top || *rc::gen::arbitrary<bool>()) values.push_back(r);
  }
  return Reaches(values);
}

/// From -spread to spread, in steps of 1/64.
inline std::vector<double> any_values(int64_t count, int spread) {
  std::vector<double> values(static_cast<size_t>(count));
  for (double& value : values) value = any_whole(-64 * spread, 64 * spread + 1) / 64.0;
  return values;
}

inline std::vector<double> any_probabilities(const Reaches& reaches, int spread = 3) {
  return reach_probabilities(any_values(reaches.count(), spread));
}

/// Largest deviation from its mean of a sum of independent numbers, each at most `bound` from its
/// own mean, with the sum's variance `variance`: it is exceeded with a probability of at most 1e-15
/// (Bernstein's inequality, 2 exp(-t^2 / (2 (variance + bound t / 3))) = 1e-15).
inline double improbable_deviation(double variance, double bound) {
  const double c = std::log(2e15);
  return c * bound / 3 + std::sqrt(c * c * bound * bound / 9 + 2 * c * variance);
}

}  // namespace filigree::testing_degrees
