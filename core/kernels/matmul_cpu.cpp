#include <Eigen/Core>

#include "core/kernels/matmul.h"
#include "core/parallel.h"

namespace filigree::kernels::cpu {

namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// One product of row-major matrices: a (rows_a, cols_a), b (rows_b, cols_b), c (m, n).
template <class T>
void multiply(const T* a, int64_t rows_a, int64_t cols_a, const T* b, int64_t rows_b,
              int64_t cols_b, MatmulForm form, T* c, int64_t m, int64_t n) {
  const Eigen::Map<const Matrix<T>> left(a, rows_a, cols_a), right(b, rows_b, cols_b);
  Eigen::Map<Matrix<T>> result(c, m, n);
  if (!form.accumulate) result.setZero();
  if (form.transpose_a && form.transpose_b) {
    result.noalias() += left.transpose() * right.transpose();
  } else if (form.transpose_a) {
    result.noalias() += left.transpose() * right;
  } else if (form.transpose_b) {
    result.noalias() += left * right.transpose();
  } else {
    result.noalias() += left * right;
  }
}

}  // namespace

void matmul(const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c) {
  dispatch_float("matmul", a.dtype(), [&]<class T>() {
    const T* left = a.data<T>();
    const T* right = b.data<T>();
    T* result = c.data<T>();
    const auto one = [&](int64_t i) {
      multiply<T>(left + i * a.size(-2) * a.size(-1), a.size(-2), a.size(-1),
                  right + i * b.size(-2) * b.size(-1), b.size(-2), b.size(-1), form,
                  result + i * c.size(-2) * c.size(-1), c.size(-2), c.size(-1));
    };
    if (a.shape().rank() == 2) {
      one(0);
    } else {
      parallel_for(a.size(0), 1, one);
    }
  });
}

}  // namespace filigree::kernels::cpu
