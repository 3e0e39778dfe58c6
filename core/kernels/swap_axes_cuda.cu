#include "core/cuda/map.cuh"
#include "core/kernels/swap_axes.h"

namespace filigree::kernels::cuda {

namespace {

/// Element i of y, which is (outer, B, middle, A, inner).
template <class T>
struct SwapAxes {
  const T* x;
  T* y;
  int64_t size_a, size_b, middle, inner;
  __device__ void operator()(int64_t i) const {
    int64_t rest = i;
    const int64_t k = rest % inner;
    rest /= inner;
    const int64_t a = rest % size_a;
    rest /= size_a;
    const int64_t m = rest % middle;
    rest /= middle;
    const int64_t b = rest % size_b, outer = rest / size_b;
    y[i] = x[(((outer * size_a + a) * middle + m) * size_b + b) * inner + k];
  }
};

}  // namespace

void swap_axes(const Tensor& x, int a, int b, Tensor& y) {
  int64_t middle = 1, inner = 1;
  for (int d = a + 1; d < x.shape().rank(); ++d) {
    if (d < b) middle *= x.size(d);
    if (d > b) inner *= x.size(d);
  }
  dispatch_float("swap_axes", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each(
        "swap_axes", y, y.numel(),
        SwapAxes<T>{x.data<T>(), y.data<T>(), x.size(a), x.size(b), middle, inner});
  });
}

}  // namespace filigree::kernels::cuda
