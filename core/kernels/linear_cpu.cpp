#include "core/kernels/elementwise.h"
#include "core/kernels/linear.h"
#include "core/kernels/matmul.h"

namespace filigree::kernels::cpu {

void linear_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  matmul(x, weight, {false, true, false}, y);
  add_bias(y, bias, y);
}

void linear_weight_backward(const Tensor& x, const Tensor& dy, Tensor& dweight, Tensor& dbias) {
  matmul(dy, x, {true, false, false}, dweight);
  sum_rows(dy, dbias);
}

}  // namespace filigree::kernels::cpu
