// Matrix product in all transpositions, single or batched.
#pragma once

#include "core/kernels/kernel.h"

namespace filigree {

/// Which operands are stored transposed, and whether the product is added to what is there.
struct MatmulForm {
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;
};

}  // namespace filigree

namespace filigree::kernels {

/// c = op(a) op(b) (+ c). Rank 2, or rank 3 with equal first sizes (a product each).
/// op(a) is (M, K), op(b) (K, N), c (M, N). All of one dtype; on CUDA c may be f32 where a and b
/// are bf16. Cost 2 M N K.
FILIGREE_KERNEL(matmul, (const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c),
                (a, b, form, c))

}  // namespace filigree::kernels
