#include "core/cuda/map.cuh"
#include "core/kernels/accumulate.h"

namespace filigree::kernels::cuda {

namespace {

template <class T>
struct Add {
  __device__ T operator()(T p, T q) const { return p + q; }
};

}  // namespace

void accumulate(const Tensor& x, Tensor& y) {
  filigree::cuda::dispatch_stored("accumulate", x.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("accumulate", y, x, y, Add<filigree::cuda::Compute<T>>{});
  });
}

}  // namespace filigree::kernels::cuda
