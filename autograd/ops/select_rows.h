// Selected rows of matrices.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// Rows `rows` (i32, (R), ascending without repeats) of every x (T, E): (R, E). Their gradients are
/// those of the rows, 0 elsewhere. Cost O(R E) forward, O(T E) backward. Throws DataError for rows
/// that do not ascend or are outside [0, T), where they are on the CPU; ShapeError.
Variables select_rows(const Variables& x, const Tensor& rows);

}  // namespace filigree
