// Pooling of packed sequences.
#pragma once

#include "autograd/variable.h"
#include "core/kernels/segment_pool.h"

namespace filigree {

/// One row a sequence: its first token or the mean of its tokens. x (T, E), offsets i64 (B+1);
/// result (B, E). An empty sequence gives 0. Throws ShapeError, DataError if offsets do not ascend
/// from 0 to T.
Variable segment_pool(const Variable& x, const Tensor& offsets, Pool pool);

}  // namespace filigree
