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
