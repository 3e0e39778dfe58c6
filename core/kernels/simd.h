// Vectors of the machine's width, from the vector extensions that GCC and Clang share: one source
// for SSE, AVX2, AVX-512 and NEON. Private to CPU kernels.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

namespace filigree::kernels {

/// Bytes of a vector register, and how many registers there are.
#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64, kVectorRegisters = 32;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32, kVectorRegisters = 16;
#elif defined(__aarch64__)
inline constexpr int kVectorBytes = 16, kVectorRegisters = 32;
#else
inline constexpr int kVectorBytes = 16, kVectorRegisters = 16;
#endif

template <class T, int N>
struct VectorOf {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
/// A full register of T.
template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));
template <class T>
using Vec = typename VectorOf<T, kLanes<T>>::type;

template <class T>
Vec<T> load(const T* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
void store(T* to, Vec<T> v) {
  std::memcpy(to, &v, sizeof v);
}
template <class T>
Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // a scalar operand is taken to every lane; -0 stays -0
}

/// Sum of the lanes, pairwise: upper half added to lower half, until one is left.
template <class T, int N = kLanes<T>>
T sum_lanes(typename VectorOf<T, N>::type v) {
  if constexpr (N == 2) {
    return v[0] + v[1];
  } else {
    return [&]<int... I>(std::integer_sequence<int, I...>) {
      return sum_lanes<T, N / 2>(__builtin_shufflevector(v, v, I...) +
                                 __builtin_shufflevector(v, v, (I + N / 2)...));
    }
    (std::make_integer_sequence<int, N / 2>());
  }
}
/// Adds lanes I + step to lanes I in both halves of v, until one of each half is left.
template <class T, int N, int step>
typename VectorOf<T, 2>::type halve(typename VectorOf<T, N>::type v) {
  if constexpr (step == 0) {
    return typename VectorOf<T, 2>::type{v[0], v[N / 2]};
  } else {
    return [&]<int... I>(std::integer_sequence<int, I...>) {
      return halve<T, N, step / 2>(
          v + __builtin_shufflevector(v, v, (I / (N / 2) * (N / 2) + (I + step) % (N / 2))...));
    }
    (std::make_integer_sequence<int, N>());
  }
}
/// The sums of the lanes of two vectors, in the order of sum_lanes(): half the work of two sums.
template <class T, int N = kLanes<T>>
typename VectorOf<T, 2>::type sum_lanes_of_two(typename VectorOf<T, N>::type a,
                                               typename VectorOf<T, N>::type b) {
  return [&]<int... I>(std::integer_sequence<int, I...>) {
    // Half sums of a, then of b; from there on both at once.
    auto sums = __builtin_shufflevector(a, b, (I < N / 2 ? I : I + N / 2)...) +
                __builtin_shufflevector(a, b, (I < N / 2 ? I + N / 2 : I + N)...);
    return halve<T, N, N / 4>(sums);
  }
  (std::make_integer_sequence<int, N>());
}
/// Largest lane; lanes that are NaN may be passed over.
template <class T, int N = kLanes<T>>
T max_lanes(typename VectorOf<T, N>::type v) {
  if constexpr (N == 2) {
    return v[0] > v[1] ? v[0] : v[1];
  } else {
    return [&]<int... I>(std::integer_sequence<int, I...>) {
      const auto a = __builtin_shufflevector(v, v, I...);
      const auto b = __builtin_shufflevector(v, v, (I + N / 2)...);
      return max_lanes<T, N / 2>(a > b ? a : b);
    }
    (std::make_integer_sequence<int, N / 2>());
  }
}

/// `width` rounded up to whole vectors.
template <class T>
constexpr int64_t padded(int64_t width) {
  return (width + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

}  // namespace filigree::kernels
