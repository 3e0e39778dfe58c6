// Where a step stands in a stage: what the schedules of degree learning are functions of.
#pragma once

#include <algorithm>
#include <cstdint>

namespace filigree {

/// 0 at the first of `steps` steps, 1 at the last and beyond, linear between.
inline double progress_of(int64_t step, int64_t steps) {
  if (steps <= 1) return 1;
  return std::clamp(static_cast<double>(step) / static_cast<double>(steps - 1), 0.0, 1.0);
}

}  // namespace filigree
