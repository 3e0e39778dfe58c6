// Embedding lookup.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// Rows `ids` (i32, (T)) of weight (V, E): (T, E). Throws DataError naming the first id outside
/// [0, V).
Variable embedding(const Variable& weight, const Tensor& ids);

}  // namespace filigree
