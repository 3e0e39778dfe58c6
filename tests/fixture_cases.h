// What the comparisons with fixtures of other frameworks share.
#pragma once

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "core/safetensors.h"

namespace filigree::testing {

/// The names in the fixture's metadata "cases".
inline std::vector<std::string> case_names_of(const SafetensorsFile& fixture) {
  std::istringstream text(fixture.metadata().at("cases"));
  std::vector<std::string> names;
  for (std::string name; text >> name;) names.push_back(name);
  return names;
}

/// Largest difference of an entry, in units of the largest wanted one, but of `least` at least; a
/// NaN stays.
inline double deviation(const Tensor& got, const Tensor& want, double least = 0) {
  double size = least, largest = 0;
  for (int64_t i = 0; i < want.numel(); ++i) size = std::max(size, std::abs(want.at(i)));
  for (int64_t i = 0; i < want.numel(); ++i) {
    const double difference = std::abs(got.at(i) - want.at(i));
    if (!(difference <= largest)) largest = difference;
  }
  return largest / size;
}

}  // namespace filigree::testing
