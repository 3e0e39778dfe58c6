#include <vector>

#include "brain.h"
#include "cublasLt.h"

struct EmulatedProduct {
  cublasOperation_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N;
  unsigned epilogue = 1;
  void* vector = nullptr;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
};
struct EmulatedLayout {
  cudaDataType_t type;
  int64_t rows, columns, leading;
};
struct EmulatedPreference {
  uint32_t alignment = 256;
};

namespace {

using cuda_on_cpu::Brain;

bool fits(const EmulatedLayout& layout) {
  return layout.rows > 0 && layout.columns > 0 && layout.leading >= layout.rows &&
         (layout.type == CUDA_R_32F || layout.type == CUDA_R_16BF);
}

bool sound(const EmulatedProduct& product, const EmulatedLayout& a, const EmulatedLayout& b,
           const EmulatedLayout& d) {
  const int64_t m = product.op_a == CUBLAS_OP_N ? a.rows : a.columns;
  const int64_t k = product.op_a == CUBLAS_OP_N ? a.columns : a.rows;
  return fits(a) && fits(b) && fits(d) && product.vector && a.type == b.type &&
         (b.type == d.type || d.type == CUDA_R_32F) && d.rows == m &&
         k == (product.op_b == CUBLAS_OP_N ? b.rows : b.columns) &&
         d.columns == (product.op_b == CUBLAS_OP_N ? b.columns : b.rows);
}

/// d: the sums, packed, with the vector added to every column; or the vector written: the sums of
/// op(b) over k. Rounded once. The vector is of d's type.
template <class T, class R>
void finish(const EmulatedProduct& product, const float* sums, const T* b,
            const EmulatedLayout& layout_b, R* d, const EmulatedLayout& layout_d, int64_t k) {
  R* vector = static_cast<R*>(product.vector);
  const auto number = [](auto value) { return static_cast<float>(static_cast<double>(value)); };
  const bool bias = product.epilogue == CUBLASLT_EPILOGUE_BIAS;
  for (int64_t j = 0; j < layout_d.columns; ++j) {
    for (int64_t i = 0; i < layout_d.rows; ++i) {
      const float more = bias ? number(vector[i]) : 0.0F;
      d[i + j * layout_d.leading] = R(sums[i + j * layout_d.rows] + more);
    }
    if (bias) continue;
    float sum = 0;
    for (int64_t p = 0; p < k; ++p) {
      sum += number(product.op_b == CUBLAS_OP_N ? b[p + j * layout_b.leading]
                                                : b[j + p * layout_b.leading]);
    }
    vector[j] = R(sum);
  }
}

}  // namespace

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* product, cublasComputeType_t compute,
                                        cudaDataType_t) {
  *product = new EmulatedProduct;
  (*product)->compute = compute;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
  delete product;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t size) {
  const auto take = [&](auto& to) {
    if (size != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&to, value, size);
    return CUBLAS_STATUS_SUCCESS;
  };
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSA) return take(product->op_a);
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSB) return take(product->op_b);
  if (attribute == CUBLASLT_MATMUL_DESC_EPILOGUE) return take(product->epilogue);
  return take(product->vector);
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t leading) {
  *layout =
      new EmulatedLayout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new EmulatedPreference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t) {
  if (attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES) {
    std::memcpy(&preference->alignment, value, sizeof preference->alignment);
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* count) {
  *count = 0;
  if (!sound(*product, *a, *b, *d)) return CUBLAS_STATUS_INVALID_VALUE;
  const int64_t k = product->op_a == CUBLAS_OP_N ? a->columns : a->rows;
  if (product->epilogue == CUBLASLT_EPILOGUE_BGRADB && a->type == CUDA_R_32F && k % 2 == 1) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  *count = 1;
  results[0] = {};
  results[0].algo.data[0] = preference->alignment;
  // The address says how later ones are aligned.
  const auto vector = reinterpret_cast<uintptr_t>(product->vector);
  results[0].algo.data[1] = vector & (~vector + 1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t layout_a,
                              const void* b, cublasLtMatrixLayout_t layout_b, const void* beta,
                              const void* c, cublasLtMatrixLayout_t layout_c, void* d,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t* algo,
                              void*, size_t, cudaStream_t) {
  const auto off = [&](const void* data) {
    return reinterpret_cast<uintptr_t>(data) % algo->data[0] != 0;
  };
  if (!sound(*product, *layout_a, *layout_b, *layout_d) || c != d || layout_c != layout_d ||
      off(a) || off(b) || off(d) ||
      reinterpret_cast<uintptr_t>(product->vector) % algo->data[1] != 0) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const int64_t k = product->op_a == CUBLAS_OP_N ? layout_a->columns : layout_a->rows;
  std::vector<float> sums(static_cast<size_t>(layout_d->rows * layout_d->columns));
  const cublasStatus_t multiplied = cublasGemmStridedBatchedEx(
      reinterpret_cast<cublasHandle_t>(handle), product->op_a, product->op_b,
      static_cast<int>(layout_d->rows), static_cast<int>(layout_d->columns), static_cast<int>(k),
      alpha, a, layout_a->type, static_cast<int>(layout_a->leading), 0, b, layout_b->type,
      static_cast<int>(layout_b->leading), 0, beta, sums.data(), CUDA_R_32F,
      static_cast<int>(layout_d->rows), 0, 1, product->compute, CUBLAS_GEMM_DEFAULT);
  if (multiplied != CUBLAS_STATUS_SUCCESS) return multiplied;
  const cuda_on_cpu::DeviceAccess access;
  const auto finish_as = [&]<class T, class R>() {
    finish(*product, sums.data(), static_cast<const T*>(b), *layout_b, static_cast<R*>(d),
           *layout_d, k);
  };
  if (layout_b->type == CUDA_R_32F) {
    finish_as.operator()<float, float>();
  } else if (layout_d->type == CUDA_R_32F) {
    finish_as.operator()<Brain, float>();
  } else {
    finish_as.operator()<Brain, Brain>();
  }
  return CUBLAS_STATUS_SUCCESS;
}
