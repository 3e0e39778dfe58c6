#include <algorithm>
#include <climits>

#include "core/cuda/context.cuh"
#include "core/cuda/element.cuh"
#include "core/error.h"
#include "core/kernels/matmul.h"

namespace filigree::kernels::cuda {

namespace {

int blas_size(int64_t size) {
  if (size <= INT_MAX) return static_cast<int>(size);
  throw ShapeError("matmul", "a size of " + std::to_string(size) + " is more than cuBLAS takes");
}

cudaDataType_t blas_type(DType dtype) {
  return dtype == DType::f64 ? CUDA_R_64F : dtype == DType::f32 ? CUDA_R_32F : CUDA_R_16BF;
}

cublasComputeType_t compute_type(DType dtype, bool tf32) {
  if (dtype == DType::f64) return CUBLAS_COMPUTE_64F;
  return dtype == DType::f32 && tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

}  // namespace

/// cuBLAS stores columns: what we store row by row is the transpose to it, so it is asked for
/// c^T = op(b)^T op(a)^T.
void matmul(const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c) {
  filigree::cuda::dispatch_stored("matmul", a.dtype(), [&]<class T>() {
    const int64_t m = c.size(-2), n = c.size(-1), k = form.transpose_a ? a.size(-2) : a.size(-1);
    const int64_t batch = a.shape().rank() == 2 ? 1 : a.size(0);
    if (m == 0 || n == 0 || batch == 0) return;
    if (k == 0) {
      if (!form.accumulate) c.fill(0);
      return;
    }
    const cudaDataType_t type = blas_type(dtype_of<T>);
    const filigree::cuda::Compute<T> one = 1, kept = form.accumulate ? 1 : 0;
    const filigree::cuda::Context& context = filigree::cuda::context_of(c.device());
    filigree::cuda::check(
        cublasGemmStridedBatchedEx(
            context.blas(), form.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
            form.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, blas_size(n), blas_size(m), blas_size(k),
            &one, b.data<T>(), type, blas_size(b.size(-1)), b.size(-2) * b.size(-1), a.data<T>(),
            type, blas_size(a.size(-1)), a.size(-2) * a.size(-1), &kept, c.raw(),
            blas_type(c.dtype()), blas_size(n), m * n, blas_size(batch),
            compute_type(dtype_of<T>, context.tf32()), CUBLAS_GEMM_DEFAULT),
        "matmul",
        "cublasGemm of " + to_string(a.shape()) + " and " + to_string(b.shape()) + " to " +
            to_string(c.shape()));
  });
}

}  // namespace filigree::kernels::cuda
