// Sums, means, and their inverses.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// Sum of all elements: a scalar.
Variable sum(const Variable& x);
/// Mean of all elements; 0 for an empty tensor.
Variable mean(const Variable& x);
/// Sum along the last dimension: (.., N) to (..).
Variable sum_last(const Variable& x);
/// Repeats every element `count` times along a new last dimension: (..) to (.., count).
Variable spread_last(const Variable& x, int64_t count);

}  // namespace filigree
