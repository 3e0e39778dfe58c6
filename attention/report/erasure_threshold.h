// The erasure threshold of an ensemble of sparse graphs, by which coding theory judges degrees.
#pragma once

#include "attention/report/degrees.h"

namespace filigree {

/// Largest share eps of erased bits that an LDPC ensemble recovers, its block length growing
/// without bound, under belief propagation: the supremum of the eps for which density evolution
///     x <- eps lambda(1 - rho(1 - x)),  x_0 = eps
/// tends to 0, which is
///     eps* = min(1, inf over 0 < x <= 1 of x / lambda(1 - rho(1 - x))),
///     lambda(x) = sum_k lambda_k x^(d_k - 1) of the variable nodes, rho alike of the check nodes
/// (Luby et al. 2001; Richardson and Urbanke, Modern Coding Theory, chapter 3). The infimum is
/// looked for on 4096 points, even in log x, and refined by golden sections about every point that
/// is no larger than its neighbours; to about 1e-9 for degrees up to some hundreds.
///
/// A yardstick of degree distributions and a check of their two perspectives; attention sends no
/// such messages. Throws ConfigError if one of the two has no edges. Cost O(degrees), times some
/// 10^4 powers.
double erasure_threshold(const DegreeDistribution& variable, const DegreeDistribution& check);

}  // namespace filigree
