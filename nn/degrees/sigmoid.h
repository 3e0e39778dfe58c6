// The logistic function of a number. Private to nn/degrees.
#pragma once

#include <cmath>

namespace filigree {

/// 1 / (1 + e^-x), without overflow.
inline double sigmoid(double x) {
  const double small = std::exp(-std::abs(x));
  return (x >= 0 ? 1 : small) / (1 + small);
}

}  // namespace filigree
