// Correlations of two rows of numbers.
#pragma once

#include <span>
#include <vector>

namespace filigree {

/// Pearson's r = sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2); 0 if
/// one of the rows is constant or shorter than 2. Both of one length. Cost O(n).
double pearson(std::span<const double> x, std::span<const double> y);

/// Ranks 1 .. n; equal numbers share the mean of their ranks. Cost O(n log n).
std::vector<double> mean_ranks(std::span<const double> x);

/// Spearman's rho: Pearson's r of the ranks.
double spearman(std::span<const double> x, std::span<const double> y);

}  // namespace filigree
