#include "core/cuda/map.cuh"
#include "core/kernels/segment_pool.h"

namespace filigree::kernels::cuda {

namespace {

/// How many rows of a sequence count.
__device__ int64_t used_rows(Pool pool, int64_t length) {
  return pool == Pool::first && length > 1 ? 1 : length;
}

template <class T>
struct Forward {
  const T* x;
  const int64_t* offsets;
  Pool pool;
  T* y;
  int64_t width;
  __device__ void operator()(int64_t i) const {
    const int64_t b = i / width, column = i % width, first = offsets[b];
    const int64_t used = used_rows(pool, offsets[b + 1] - first);
    T sum = 0;
    for (int64_t t = first; t < first + used; ++t) sum += x[t * width + column];
    y[i] = used > 1 ? sum / T(used) : sum;
  }
};

template <class T>
struct Backward {
  const T* dy;
  const int64_t* offsets;
  Pool pool;
  T* dx;
  int64_t width;
  __device__ void operator()(int64_t i) const {
    const int64_t b = i / width, column = i % width, first = offsets[b];
    const int64_t used = used_rows(pool, offsets[b + 1] - first);
    for (int64_t t = first; t < first + used; ++t) dx[t * width + column] = dy[i] / T(used);
  }
};

}  // namespace

void segment_pool_forward(const Tensor& x, const Tensor& offsets, Pool pool, Tensor& y) {
  dispatch_float("segment_pool", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each(
        "segment_pool", y, y.numel(),
        Forward<T>{x.data<T>(), offsets.data<int64_t>(), pool, y.data<T>(), y.size(1)});
  });
}

void segment_pool_backward(const Tensor& dy, const Tensor& offsets, Pool pool, Tensor& dx) {
  dx.fill(0);
  dispatch_float("segment_pool", dy.dtype(), [&]<class T>() {
    filigree::cuda::for_each(
        "segment_pool", dx, dy.numel(),
        Backward<T>{dy.data<T>(), offsets.data<int64_t>(), pool, dx.data<T>(), dx.size(1)});
  });
}

}  // namespace filigree::kernels::cuda
