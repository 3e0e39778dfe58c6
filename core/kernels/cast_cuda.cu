#include <algorithm>

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

/// So many pairs a launch that a kernel's arguments (4 KB) hold them.
constexpr int kTogether = 90;
constexpr int kTaken = 8;  // elements a call

/// Several tensors, kTaken elements of one of them a call.
template <class From, class To>
struct CastMany {
  struct Pair {
    const From* x;
    To* y;
    int64_t count;
    int64_t first;  // call
    bool packed;
  };
  Pair of[kTogether];
  int pairs;

  __device__ void operator()(int64_t call) const {
    const Pair& one = of[filigree::cuda::last_not_above<kTogether>(
        call, pairs, [&](int k) { return of[k].first; })];
    filigree::cuda::each_of_pack<kTaken>(
        call - one.first, one.count, one.packed,
        [&](int64_t i) { one.y[i] = convert<To>(one.x[i]); },
        [&](int64_t i) {
          const auto values = filigree::cuda::load_pack<From, kTaken>(one.x + i);
          filigree::cuda::Pack<To, kTaken> made;
          for (int j = 0; j < kTaken; ++j) made.of[j] = convert<To>(values.of[j]);
          filigree::cuda::store_pack(made, one.y + i);
        });
  }
};

template <class From, class To>
void cast_some(const Tensor& where, std::span<const CastPair> pairs) {
  CastMany<From, To> body{};
  static_assert(sizeof(body) <= 4000);
  int64_t calls = 0;
  for (const CastPair& pair : pairs) {
    Tensor to = pair.to;
    const From* x = pair.from.data<From>();
    To* y = to.data<To>();
    body.of[body.pairs++] = {x, y, to.numel(), calls, filigree::cuda::packs_fit<kTaken>(x, y)};
    calls += (to.numel() + kTaken - 1) / kTaken;
  }
  filigree::cuda::for_each("cast", where, calls, body);
}

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

void cast_many(const Tensor& where, std::span<const CastPair> pairs) {
  if (pairs.empty()) return;
  const DType dtype = pairs.front().to.dtype();
  filigree::cuda::dispatch_stored("cast", pairs.front().from.dtype(), [&]<class From>() {
    filigree::cuda::dispatch_stored("cast", dtype, [&]<class To>() {
      while (!pairs.empty()) {
        const auto now = pairs.first(std::min<size_t>(pairs.size(), kTogether));
        pairs = pairs.subspan(now.size());
        cast_some<From, To>(where, now);
      }
    });
  });
}

}  // namespace filigree::kernels::cuda
