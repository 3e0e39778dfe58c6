// The kinds of kernels on tensor cores. For .cu files alone.
#pragma once

namespace filigree::kernels::cuda {

/// What scores are: scaled products; the same, and tokens may have drawn whom they see (DrawnPass);
/// or with bias or gate, drawn or not.
enum class Scores { plain, drawn, added };

/// The forward pass; dq, of rows of tiles; dk and dv, of columns.
enum class Part { forward, rows, columns };

}  // namespace filigree::kernels::cuda
