// Water-filling: the integer reaches of all heads together under one budget of edges.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/degrees/density.h"

namespace filigree {

/// Edges that `heads` heads may have together for a mean density: the largest whole number whose
/// density, edges / (pairs * heads), is at most this. Throws as expect_feasible(), ConfigError for
/// heads < 1. Cost O(1).
int64_t edge_budget(double density, const DistanceCounts& counts, int64_t heads);

/// One reach a head, as large as the budget allows where it is worth most: sum over heads and over
/// 1 <= d <= reach_h of c_d g_h(d) is to be large, sum over heads of edges(reach_h) at most
/// `budget`. Distances are bought by falling g, which for each head is from near to far; the first
/// that does not fit sets the threshold t of the water, and what is left is handed out by the
/// largest next g that still fits. Ties go to the smaller distance, then to the first head.
/// Distances with g = 0 are never bought, and a reach ends at a distance that some pair has.
///
/// Value per edge is g, so buying to the threshold is the optimum of the fractional knapsack
/// (Dantzig 1957), and the optimum of whole distances exceeds the result by less than c_d g_h(d) of
/// one distance: the first that did not fit. Deterministic. Each tail (R+1), as of reach_tail();
/// counts: of the split. Throws ShapeError for sizes, NumericError for g outside [0, 1],
/// ConfigError if a tail rises (there is no window that keeps the far and drops the near) or if the
/// budget is below what is always on. Cost O(H R log H) for H heads of all layers.
std::vector<int64_t> water_filling(std::span<const std::vector<double>> tails,
                                   const DistanceCounts& counts, int64_t budget);

}  // namespace filigree
