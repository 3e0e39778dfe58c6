// Kernels that treat every element alike. For .cu files alone.
#pragma once

#include <string_view>

#include "core/cuda/context.cuh"
#include "core/cuda/element.cuh"

namespace filigree::cuda {

inline constexpr int kMapThreads = 256;

/// The element that the calling thread of a map is for.
__device__ inline int64_t element_index() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

inline Grid map_grid(int64_t count) {
  return {.blocks = (count + kMapThreads - 1) / kMapThreads, .threads = kMapThreads};
}

template <class Body>
__global__ void for_each_kernel(int64_t count, Body body) {
  const int64_t i = element_index();
  if (i < count) body(i);
}

/// body(i) for every i in [0, count), on the device of `where`. Body: a struct with a __device__
/// operator() that holds what it needs by value.
template <class Body>
void for_each(std::string_view op, const Tensor& where, int64_t count, Body body) {
  launch(op, where, map_grid(count), for_each_kernel<Body>, count, body);
}

/// Body of y_i = f(x_i); f works in Compute<T>.
template <class T, class F>
struct MapOne {
  const T* x;
  T* y;
  F f;
  __device__ void operator()(int64_t i) const { y[i] = convert<T>(f(load(x[i]))); }
};
/// Body of y_i = f(a_i, b_i).
template <class T, class F>
struct MapTwo {
  const T *a, *b;
  T* y;
  F f;
  __device__ void operator()(int64_t i) const { y[i] = convert<T>(f(load(a[i]), load(b[i]))); }
};

template <class T, class F>
void map_elements(std::string_view op, const Tensor& x, Tensor& y, F f) {
  for_each(op, y, y.numel(), MapOne<T, F>{x.data<T>(), y.data<T>(), f});
}
template <class T, class F>
void map_elements(std::string_view op, const Tensor& a, const Tensor& b, Tensor& y, F f) {
  for_each(op, y, y.numel(), MapTwo<T, F>{a.data<T>(), b.data<T>(), y.data<T>(), f});
}

}  // namespace filigree::cuda
