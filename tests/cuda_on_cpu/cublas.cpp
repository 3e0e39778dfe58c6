#include "brain.h"
#include "cublas_v2.h"

namespace {

using cuda_on_cpu::Brain;

constexpr int kSums = 32;

/// Columns of `rows` elements; what is stored transposed is read so.
template <class T, class C, class R>
void multiply(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, C alpha,
              const T* a, int lda, const T* b, int ldb, C beta, R* c, int ldc) {
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < m; ++i) {
      C sums[kSums] = {};  // side by side, as there
      for (int p = 0; p < k; ++p) {
        const T x = op_a == CUBLAS_OP_N ? a[i + int64_t{p} * lda] : a[p + int64_t{i} * lda];
        const T y = op_b == CUBLAS_OP_N ? b[p + int64_t{j} * ldb] : b[j + int64_t{p} * ldb];
        sums[p % kSums] +=
            static_cast<C>(static_cast<double>(x)) * static_cast<C>(static_cast<double>(y));
      }
      C sum = 0;
      for (const C part : sums) sum += part;
      R& to = c[i + int64_t{j} * ldc];
      const C before = beta == C(0) ? C(0) : beta * static_cast<C>(static_cast<double>(to));
      to = R(alpha * sum + before);
    }
  }
}

}  // namespace

const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "invalid value";
}
cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t, cublasOperation_t op_a,
                                          cublasOperation_t op_b, int m, int n, int k,
                                          const void* alpha, const void* a, cudaDataType_t type_a,
                                          int lda, long long stride_a, const void* b,
                                          cudaDataType_t type_b, int ldb, long long stride_b,
                                          const void* beta, void* c, cudaDataType_t type_c, int ldc,
                                          long long stride_c, int batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t) {
  // What cuBLAS refuses.
  const bool sound = m >= 0 && n >= 0 && k >= 0 && batch >= 0 && ldc >= m && m > 0 && n > 0 &&
                     lda >= (op_a == CUBLAS_OP_N ? m : k) && ldb >= (op_b == CUBLAS_OP_N ? k : n) &&
                     lda > 0 && ldb > 0 && type_a == type_b &&
                     (type_b == type_c || (type_b == CUDA_R_16BF && type_c == CUDA_R_32F));
  if (!sound) return CUBLAS_STATUS_INVALID_VALUE;
  if (compute == CUBLAS_COMPUTE_32F_FAST_TF32 && type_a != CUDA_R_32F) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  const cuda_on_cpu::DeviceAccess access;
  const auto all = [&]<class T, class C, class R>() {
    for (int i = 0; i < batch; ++i) {
      multiply<T, C, R>(op_a, op_b, m, n, k, *static_cast<const C*>(alpha),
                        static_cast<const T*>(a) + i * stride_a, lda,
                        static_cast<const T*>(b) + i * stride_b, ldb, *static_cast<const C*>(beta),
                        static_cast<R*>(c) + i * stride_c, ldc);
    }
  };
  if (type_a == CUDA_R_64F) {
    all.template operator()<double, double, double>();
  } else if (type_a == CUDA_R_32F) {
    all.template operator()<float, float, float>();
  } else if (type_a == CUDA_R_16BF && type_c == CUDA_R_32F) {
    all.template operator()<Brain, float, float>();
  } else if (type_a == CUDA_R_16BF) {
    all.template operator()<Brain, float, Brain>();
  } else {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}
