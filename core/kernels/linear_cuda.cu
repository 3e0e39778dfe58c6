#include "core/cuda/blas_lt.cuh"
#include "core/kernels/elementwise.h"
#include "core/kernels/linear.h"
#include "core/kernels/matmul.h"

namespace filigree::kernels::cuda {

void linear_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  constexpr MatmulForm kForm{false, true, false};
  if (filigree::cuda::matmul_with_bias(x, weight, kForm, y, bias)) return;
  matmul(x, weight, kForm, y);
  add_bias(y, bias, y);
}

void linear_weight_backward(const Tensor& x, const Tensor& dy, Tensor& dweight, Tensor& dbias) {
  constexpr MatmulForm kForm{true, false, false};
  if (filigree::cuda::matmul_with_row_sums(dy, x, kForm, dweight, dbias)) return;
  matmul(dy, x, kForm, dweight);
  sum_rows(dy, dbias);
}

}  // namespace filigree::kernels::cuda
