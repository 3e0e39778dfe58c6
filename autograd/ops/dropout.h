// Dropout.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// x_i / (1 - p) with probability 1 - p, else 0 (Srivastava et al. 2014). The mask is a pure
/// function of (key, i): the same key gives the same mask. p in [0, 1), else ConfigError; p = 0 is
/// x itself.
Variable dropout(const Variable& x, double p, uint64_t key);

/// ConfigError unless p is in [0, 1).
void expect_dropout(double p);

}  // namespace filigree
