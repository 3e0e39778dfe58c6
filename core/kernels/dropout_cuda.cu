#include "core/cuda/map.cuh"
#include "core/cuda/random.cuh"
#include "core/kernels/dropout.h"

namespace filigree::kernels::cuda {

namespace {

/// Four elements a thread, of one counter.
template <class T>
struct Dropout {
  const T* x;
  T* y;
  int64_t count;
  uint64_t key;
  float threshold;
  filigree::cuda::Compute<T> kept;
  bool packed;

  __device__ void operator()(int64_t block) const {
    const filigree::cuda::Bits bits = filigree::cuda::philox(key, 0, static_cast<uint64_t>(block));
    const auto drop = [&](T value, int j) {
      return filigree::cuda::to_uniform(bits.word[j]) >= threshold
                 ? convert<T>(filigree::cuda::load(value) * kept)
                 : convert<T>(0);
    };
    if (packed && 4 * block + 4 <= count) {
      auto values = filigree::cuda::load_pack<T, 4>(x + 4 * block);
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
  filigree::cuda::dispatch_stored("dropout", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each(
        "dropout", y, (x.numel() + 3) / 4,
        Dropout<T>{x.data<T>(), y.data<T>(), x.numel(), key, static_cast<float>(p),
                   static_cast<filigree::cuda::Compute<T>>(1 / (1 - p)),
                   filigree::cuda::packs_fit<4>(x.data<T>(), y.data<T>())});
  });
}

}  // namespace filigree::kernels::cuda
