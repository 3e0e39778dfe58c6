// Matrix products of cuBLASLt that do a little more on their way out. For .cu files alone.
#pragma once

#include "core/kernels/matmul.h"
#include "core/tensor.h"

namespace filigree::cuda {

/// c (M, N) = op(a) op(b), rank 2, + bias (N) in every row. f32 and bf16, sums in f32; c and the
/// bias are of one dtype, that of a and b or f32. False, having done nothing, where cuBLASLt has no
/// algorithm for it: other dtypes, no elements, data that are not aligned to 16 bytes, or as its
/// heuristics say; those are asked once for every form of product and remembered. Throws
/// DeviceError.
bool matmul_with_bias(const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c,
                      const Tensor& bias);
/// The same without a bias, and sums (M) = sum over k of op(a).
bool matmul_with_row_sums(const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c,
                          Tensor& sums);

}  // namespace filigree::cuda
