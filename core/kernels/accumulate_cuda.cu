#include "core/cuda/map.cuh"
#include "core/kernels/accumulate.h"

namespace filigree::kernels::cuda {

namespace {

template <class T>
struct Accumulate {
  const T* x;
  T* y;
  __device__ void operator()(int64_t i) const {
    y[i] = convert<T>(filigree::cuda::load(y[i]) + filigree::cuda::load(x[i]));
  }
};

}  // namespace

void accumulate(const Tensor& x, Tensor& y) {
  filigree::cuda::dispatch_stored("accumulate", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each("accumulate", y, y.numel(), Accumulate<T>{x.data<T>(), y.data<T>()});
  });
}

}  // namespace filigree::kernels::cuda
