#include "core/convert.h"
#include "core/cuda/map.cuh"
#include "core/kernels/cast.h"

namespace filigree::kernels::cuda {

namespace {

/// Four elements a call.
template <class From, class To>
struct Cast {
  const From* x;
  To* y;
  int64_t count;
  bool packed;
  __device__ void operator()(int64_t p) const {
    filigree::cuda::each_of_pack<4>(
        p, count, packed, [&](int64_t i) { y[i] = convert<To>(x[i]); },
        [&](int64_t first) {
          const auto values = filigree::cuda::load_pack<From, 4>(x + first);
          filigree::cuda::Pack<To, 4> made;
          for (int i = 0; i < 4; ++i) made.of[i] = convert<To>(values.of[i]);
          filigree::cuda::store_pack(made, y + first);
        });
  }
};

}  // namespace

void cast(const Tensor& x, Tensor& y) {
  dispatch_any(x.dtype(), [&](auto from) {
    using From = decltype(from);
    dispatch_any(y.dtype(), [&](auto to) {
      using To = decltype(to);
      const From* in = x.data<From>();
      To* out = y.data<To>();
      filigree::cuda::for_each(
          "cast", x, (x.numel() + 3) / 4,
          Cast<From, To>{in, out, x.numel(), filigree::cuda::packs_fit<4>(in, out)});
    });
  });
}

}  // namespace filigree::kernels::cuda
