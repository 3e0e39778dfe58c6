#include "core/kernels/accumulate.h"
#include "core/parallel.h"

namespace filigree::kernels::cpu {

void accumulate(const Tensor& x, Tensor& y) {
  expect_shape("accumulate", "term", y.shape(), x.shape());
  expect_same_kind("accumulate", x, y);
  dispatch_float("accumulate", x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_ranges(x.numel(), 1 << 15, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) to[i] += from[i];
    });
  });
}

}  // namespace filigree::kernels::cpu
