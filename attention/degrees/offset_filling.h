// The distances of all heads together under one budget of edges, where gates need not fall.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/degrees/density.h"

namespace filigree {

/// Distances 1 .. R that each head sees, ascending: bought by falling g over all heads while they
/// fit into the budget; what does not fit is passed over. Ties go to the smaller distance, then to
/// the first head; g = 0 and distances that no pair has are never bought. Value per edge is g, so
/// this is the fractional knapsack's optimum but for less than one distance's value, as in
/// water_filling(), without its windows. Each gate (R+1) in [0, 1]. Throws ShapeError,
/// NumericError, ConfigError as water_filling(). Cost O(H R log(H R)).
std::vector<std::vector<int64_t>> offset_filling(std::span<const std::vector<double>> gates,
                                                 const DistanceCounts& counts, int64_t budget);

}  // namespace filigree
