#include "core/kernels/loops.h"
#include "core/kernels/reduce.h"

namespace filigree::kernels::cpu {

void sum_all(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("sum", x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T total = 0;
    reduce_rows<T>(x.numel(), 1, &total, [&](int64_t first, int64_t last, T* partial) {
      *partial += sum_of<T>(last - first, [&](int64_t i) { return from[first + i]; });
    });
    *y.data<T>() = total * static_cast<T>(factor);
  });
}

void spread_scalar(const Tensor& x, double factor, Tensor& y) { y.fill(x.item() * factor); }

void sum_squares(Tensor& squares, std::span<const Tensor> tensors) {
  expect_one_kind("sum_squares", tensors, squares.device());
  double sum = 0;
  for (const Tensor& x : tensors) {
    dispatch_float("sum_squares", x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      double total = 0;
      reduce_rows<double>(x.numel(), 1, &total, [&](int64_t first, int64_t last, double* partial) {
        *partial += sum_of<double>(last - first, [&](int64_t i) {
          return static_cast<double>(from[first + i]) * static_cast<double>(from[first + i]);
        });
      });
      sum += total;
    });
  }
  *squares.data<double>() = sum;
}

}  // namespace filigree::kernels::cpu
