#include "core/cuda/map.cuh"
#include "core/cuda/random.cuh"
#include "core/kernels/dropout.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::Compute;

/// Four elements a thread, of one counter.
template <class S>
struct Dropout {
  using T = Compute<S>;
  const S* x;
  S* y;
  int64_t count;
  filigree::cuda::DropoutMask<T> mask;
  bool packed;

  __device__ void operator()(int64_t block) const {
    T factor[4];
    mask.factors(4 * block, factor);
    const auto drop = [&](S value, int j) {
      return factor[j] > T(0) ? convert<S>(filigree::cuda::load(value) * factor[j]) : convert<S>(0);
    };
    if (packed && 4 * block + 4 <= count) {
      auto values = filigree::cuda::load_pack<S, 4>(x + 4 * block);
      for (int j = 0; j < 4; ++j) values.of[j] = drop(values.of[j], j);
      return filigree::cuda::store_pack(values, y + 4 * block);
    }
    for (int j = 0; j < 4; ++j) {
      const int64_t i = 4 * block + j;
      if (i >= count) return;
      y[i] = drop(x[i], j);
    }
  }
};

}  // namespace

void dropout(const Tensor& x, double p, uint64_t key, Tensor& y) {
  filigree::cuda::dispatch_stored("dropout", x.dtype(), [&]<class S>() {
    filigree::cuda::for_each("dropout", y, (x.numel() + 3) / 4,
                             Dropout<S>{x.data<S>(), y.data<S>(), x.numel(),
                                        filigree::cuda::DropoutMask<Compute<S>>({p, key}),
                                        filigree::cuda::packs_fit<4>(x.data<S>(), y.data<S>())});
  });
}

}  // namespace filigree::kernels::cuda
