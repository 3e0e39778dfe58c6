#include "core/kernels/swap_axes.h"
#include "core/parallel.h"

namespace filigree::kernels::cpu {

void swap_axes(const Tensor& x, int a, int b, Tensor& y) {
  // x is (outer, A, middle, B, inner); y is (outer, B, middle, A, inner).
  int64_t outer = 1, middle = 1, inner = 1;
  for (int d = 0; d < x.shape().rank(); ++d) {
    if (d < a) outer *= x.size(d);
    if (d > a && d < b) middle *= x.size(d);
    if (d > b) inner *= x.size(d);
  }
  const int64_t size_a = x.size(a), size_b = x.size(b);
  dispatch_float("swap_axes", x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(outer * size_b, 1, [&](int64_t task) {
      const int64_t o = task / size_b, j = task % size_b;
      for (int64_t m = 0; m < middle; ++m) {
        for (int64_t i = 0; i < size_a; ++i) {
          const T* source = from + (((o * size_a + i) * middle + m) * size_b + j) * inner;
          T* target = to + (((o * size_b + j) * middle + m) * size_a + i) * inner;
          for (int64_t k = 0; k < inner; ++k) target[k] = source[k];
        }
      }
    });
  });
}

}  // namespace filigree::kernels::cpu
