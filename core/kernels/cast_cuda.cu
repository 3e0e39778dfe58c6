#include "core/convert.h"
#include "core/cuda/map.cuh"
#include "core/kernels/cast.h"

namespace filigree::kernels::cuda {

namespace {

template <class From, class To>
struct Cast {
  const From* x;
  To* y;
  __device__ void operator()(int64_t i) const { y[i] = convert<To>(x[i]); }
};

}  // namespace

void cast(const Tensor& x, Tensor& y) {
  dispatch_any(x.dtype(), [&](auto from) {
    using From = decltype(from);
    dispatch_any(y.dtype(), [&](auto to) {
      using To = decltype(to);
      filigree::cuda::for_each("cast", x, x.numel(), Cast<From, To>{x.data<From>(), y.data<To>()});
    });
  });
}

}  // namespace filigree::kernels::cuda
