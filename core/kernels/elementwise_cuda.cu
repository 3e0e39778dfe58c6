#include <cmath>

#include "core/cuda/map.cuh"
#include "core/cuda/rows.cuh"
#include "core/kernels/elementwise.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::Compute;
using filigree::cuda::load;

template <class T>
struct Add {
  __device__ T operator()(T p, T q) const { return p + q; }
};
template <class T>
struct Subtract {
  __device__ T operator()(T p, T q) const { return p - q; }
};
template <class T>
struct Multiply {
  __device__ T operator()(T p, T q) const { return p * q; }
};
template <class T>
struct Divide {
  __device__ T operator()(T p, T q) const { return p / q; }
};
template <class T>
struct Scale {
  T factor;
  __device__ T operator()(T p) const { return p * factor; }
};
template <class T>
struct Exponential {
  __device__ T operator()(T p) const { return std::exp(p); }
};
template <class T>
struct Logarithm {
  __device__ T operator()(T p) const { return std::log(p); }
};
/// y = x + bias, a pack a call; `packed` where the width is whole packs.
template <class T>
struct AddBias {
  const T *x, *bias;
  T* y;
  int64_t count, width;
  bool packed;
  __device__ void operator()(int64_t p) const {
    constexpr int N = filigree::cuda::kPack<T>;
    filigree::cuda::each_of_pack<N>(
        p, count, packed, [&](int64_t i) { y[i] = convert<T>(load(x[i]) + load(bias[i % width])); },
        [&](int64_t first) {
          auto values = filigree::cuda::load_pack<T, N>(x + first);
          const auto more = filigree::cuda::load_pack<T, N>(bias + first % width);
          for (int i = 0; i < N; ++i) {
            values.of[i] = convert<T>(load(values.of[i]) + load(more.of[i]));
          }
          filigree::cuda::store_pack(values, y + first);
        });
  }
};

}  // namespace

void add(const Tensor& a, const Tensor& b, Tensor& y) {
  filigree::cuda::dispatch_stored("add", a.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("add", a, b, y, Add<Compute<T>>{});
  });
}
void subtract(const Tensor& a, const Tensor& b, Tensor& y) {
  filigree::cuda::dispatch_stored("sub", a.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("sub", a, b, y, Subtract<Compute<T>>{});
  });
}
void multiply(const Tensor& a, const Tensor& b, Tensor& y) {
  filigree::cuda::dispatch_stored("mul", a.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("mul", a, b, y, Multiply<Compute<T>>{});
  });
}
void divide(const Tensor& a, const Tensor& b, Tensor& y) {
  filigree::cuda::dispatch_stored("divide", a.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("divide", a, b, y, Divide<Compute<T>>{});
  });
}
void scale(const Tensor& x, double factor, Tensor& y) {
  filigree::cuda::dispatch_stored("scale", x.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("scale", x, y,
                                    Scale<Compute<T>>{static_cast<Compute<T>>(factor)});
  });
}
void exponential(const Tensor& x, Tensor& y) {
  filigree::cuda::dispatch_stored("exp", x.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("exp", x, y, Exponential<Compute<T>>{});
  });
}
void logarithm(const Tensor& x, Tensor& y) {
  filigree::cuda::dispatch_stored("log", x.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("log", x, y, Logarithm<Compute<T>>{});
  });
}

void add_bias(const Tensor& x, const Tensor& bias, Tensor& y) {
  filigree::cuda::dispatch_stored("add_bias", x.dtype(), [&]<class T>() {
    constexpr int N = filigree::cuda::kPack<T>;
    const T *from = x.data<T>(), *more = bias.data<T>();
    T* to = y.data<T>();
    const int64_t width = bias.numel();
    const bool packed = width % N == 0 && filigree::cuda::packs_fit<N>(from, more, to);
    filigree::cuda::for_each("add_bias", y, (y.numel() + N - 1) / N,
                             AddBias<T>{from, more, to, y.numel(), width, packed});
  });
}

void sum_rows(const Tensor& x, Tensor& sums) {
  filigree::cuda::dispatch_stored("sum_rows", x.dtype(), [&]<class T>() {
    const int64_t width = sums.numel(), rows = width == 0 ? 0 : x.numel() / width;
    const auto add_up = [&](auto* to) {
      filigree::cuda::column_sums("sum_rows", x, rows, width, x.data<T>(), to);
    };
    if (sums.dtype() == dtype_of<T>) return add_up(sums.data<T>());
    add_up(sums.data<Compute<T>>());
  });
}

}  // namespace filigree::kernels::cuda
