// Ops that move elements without changing them.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// The same elements under another shape (shared memory). Throws ShapeError if the counts differ.
Variable reshape(const Variable& x, const Shape& shape);
/// Dimensions a and b exchanged (a copy).
Variable swap_axes(const Variable& x, int a, int b);
/// Rows first .. first+count-1 of the first dimension (shared memory).
Variable slice_rows(const Variable& x, int64_t first, int64_t count);
/// Joins along the first dimension; all other sizes equal. At least one part.
Variable concat_rows(const Variables& parts);
/// The values in another floating dtype; the gradient comes back in x's.
Variable cast(const Variable& x, DType dtype);
/// The values on another device; the gradient comes back to x's. x itself if it is there already.
Variable to_device(const Variable& x, Device device);

}  // namespace filigree
