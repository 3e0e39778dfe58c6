#include "core/convert.h"
#include "core/cuda/map.cuh"
#include "core/kernels/fill.h"

namespace filigree::kernels::cuda {

namespace {

template <class T>
struct Fill {
  T* x;
  T value;
  __device__ void operator()(int64_t i) const { x[i] = value; }
};

}  // namespace

void fill(Tensor& x, double value) {
  dispatch_any(x.dtype(), [&](auto element) {
    using T = decltype(element);
    filigree::cuda::for_each("fill", x, x.numel(), Fill<T>{x.data<T>(), convert<T>(value)});
  });
}

}  // namespace filigree::kernels::cuda
