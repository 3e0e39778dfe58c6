// Kernels that treat every element alike. For .cu files alone.
#pragma once

#include <bit>
#include <string_view>

#include "core/cuda/context.cuh"
#include "core/cuda/element.cuh"
#include "core/cuda/pack.cuh"

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

/// The last of `count` <= Most ascending numbers that is not above `at`; the first is not.
template <int Most, class NumberOf>
__device__ int last_not_above(int64_t at, int count, NumberOf number_of) {
  constexpr int kFirst = static_cast<int>(std::bit_floor(static_cast<unsigned>(Most)));
  int k = 0;
  for (int step = kFirst; step > 0; step /= 2) {
    if (k + step < count && number_of(k + step) <= at) k += step;
  }
  return k;
}

/// one(i) for elements N p .. N p + N - 1, or whole(N p) for all of them at once, where they are
/// `packed` (packs_fit()) and all there.
template <int N, class One, class Whole>
__device__ void each_of_pack(int64_t p, int64_t count, bool packed, One one, Whole whole) {
  const int64_t first = N * p;
  if (packed && first + N <= count) return whole(first);
  for (int64_t i = first; i < first + N && i < count; ++i) one(i);
}

/// Body of y_i = f(x_i), a pack a call; f works in Compute<T>.
template <class T, class F>
struct MapOne {
  const T* x;
  T* y;
  int64_t count;
  bool packed;
  F f;
  __device__ void operator()(int64_t p) const {
    constexpr int N = kPack<T>;
    each_of_pack<N>(
        p, count, packed, [&](int64_t i) { y[i] = convert<T>(f(load(x[i]))); },
        [&](int64_t first) {
          Pack<T, N> values = load_pack<T, N>(x + first);
          for (int i = 0; i < N; ++i) values.of[i] = convert<T>(f(load(values.of[i])));
          store_pack(values, y + first);
        });
  }
};
/// Body of y_i = f(a_i, b_i), likewise.
template <class T, class F>
struct MapTwo {
  const T *a, *b;
  T* y;
  int64_t count;
  bool packed;
  F f;
  __device__ void operator()(int64_t p) const {
    constexpr int N = kPack<T>;
    each_of_pack<N>(
        p, count, packed, [&](int64_t i) { y[i] = convert<T>(f(load(a[i]), load(b[i]))); },
        [&](int64_t first) {
          Pack<T, N> left = load_pack<T, N>(a + first);
          const Pack<T, N> right = load_pack<T, N>(b + first);
          for (int i = 0; i < N; ++i) {
            left.of[i] = convert<T>(f(load(left.of[i]), load(right.of[i])));
          }
          store_pack(left, y + first);
        });
  }
};

template <class T, class F>
void map_elements(std::string_view op, const Tensor& x, Tensor& y, F f) {
  const T* from = x.data<T>();
  T* to = y.data<T>();
  constexpr int N = kPack<T>;
  for_each(op, y, (y.numel() + N - 1) / N,
           MapOne<T, F>{from, to, y.numel(), packs_fit<N>(from, to), f});
}
template <class T, class F>
void map_elements(std::string_view op, const Tensor& a, const Tensor& b, Tensor& y, F f) {
  const T *left = a.data<T>(), *right = b.data<T>();
  T* to = y.data<T>();
  constexpr int N = kPack<T>;
  for_each(op, y, (y.numel() + N - 1) / N,
           MapTwo<T, F>{left, right, to, y.numel(), packs_fit<N>(left, right, to), f});
}

}  // namespace filigree::cuda
