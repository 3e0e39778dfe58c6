#include <cmath>

#include "core/cuda/map.h"
#include "core/cuda/rows.h"
#include "core/kernels/elementwise.h"

namespace filigree::kernels::cuda {

namespace {

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
template <class T>
struct AddBias {
  const T *x, *bias;
  T* y;
  int64_t width;
  __device__ void operator()(int64_t i) const { y[i] = x[i] + bias[i % width]; }
};

}  // namespace

void add(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("add", a.dtype(),
                 [&]<class T>() { filigree::cuda::map_elements<T>("add", a, b, y, Add<T>{}); });
}
void subtract(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("sub", a.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("sub", a, b, y, Subtract<T>{});
  });
}
void multiply(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("mul", a.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("mul", a, b, y, Multiply<T>{});
  });
}
void divide(const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_float("divide", a.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("divide", a, b, y, Divide<T>{});
  });
}
void scale(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("scale", x.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("scale", x, y, Scale<T>{static_cast<T>(factor)});
  });
}
void exponential(const Tensor& x, Tensor& y) {
  dispatch_float("exp", x.dtype(), [&]<class T>() {
    filigree::cuda::map_elements<T>("exp", x, y, Exponential<T>{});
  });
}
void logarithm(const Tensor& x, Tensor& y) {
  dispatch_float("log", x.dtype(),
                 [&]<class T>() { filigree::cuda::map_elements<T>("log", x, y, Logarithm<T>{}); });
}

void add_bias(const Tensor& x, const Tensor& bias, Tensor& y) {
  dispatch_float("add_bias", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each("add_bias", y, y.numel(),
                             AddBias<T>{x.data<T>(), bias.data<T>(), y.data<T>(), bias.numel()});
  });
}

void sum_rows(const Tensor& x, Tensor& sums) {
  dispatch_float("sum_rows", x.dtype(), [&]<class T>() {
    const int64_t width = sums.numel(), rows = width == 0 ? 0 : x.numel() / width;
    filigree::cuda::column_sums<T>("sum_rows", x, rows, width,
                                   filigree::cuda::RowsOf<T>{x.data<T>(), width}, sums.data<T>());
  });
}

}  // namespace filigree::kernels::cuda
