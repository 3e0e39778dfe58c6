#include <algorithm>
#include <array>
#include <bit>

#include "core/convert.h"
#include "core/cuda/map.cuh"
#include "core/kernels/fill.h"

namespace filigree::kernels::cuda {

namespace {

/// A pack a call.
template <class T>
struct Fill {
  T* x;
  T value;
  int64_t count;
  bool packed;
  __device__ void operator()(int64_t p) const {
    constexpr int N = filigree::cuda::kPack<T>;
    filigree::cuda::each_of_pack<N>(
        p, count, packed, [&](int64_t i) { x[i] = value; },
        [&](int64_t first) {
          filigree::cuda::Pack<T, N> values;
#pragma unroll
          for (int i = 0; i < N; ++i) values.of[i] = value;
          filigree::cuda::store_pack(values, x + first);
        });
  }
};

}  // namespace

void fill(Tensor& x, double value) {
  if (x.numel() == 0) return;
  dispatch_any(x.dtype(), [&](auto element) {
    using T = decltype(element);
    const T converted = convert<T>(value);
    const auto bytes = std::bit_cast<std::array<unsigned char, sizeof(T)>>(converted);
    if (std::all_of(bytes.begin(), bytes.end(), [&](unsigned char b) { return b == bytes[0]; })) {
      filigree::cuda::check(cudaMemsetAsync(x.raw(), bytes[0], static_cast<size_t>(x.bytes()),
                                            filigree::cuda::context_of(x.device()).stream()),
                            "fill", "cudaMemsetAsync");
      return;
    }
    constexpr int N = filigree::cuda::kPack<T>;
    filigree::cuda::for_each(
        "fill", x, (x.numel() + N - 1) / N,
        Fill<T>{x.data<T>(), converted, x.numel(), filigree::cuda::packs_fit<N>(x.data<T>())});
  });
}

}  // namespace filigree::kernels::cuda
