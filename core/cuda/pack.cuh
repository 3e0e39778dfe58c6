// Neighbouring elements that are loaded and stored at once. For .cu files alone.
#pragma once

#include <cstdint>
#include <cuda_runtime.h>

namespace filigree::cuda {

/// N neighbours, loaded and stored at once.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T of[N];
};
/// Elements of S that a thread takes at once: 16 bytes.
template <class S>
inline constexpr int kPack = static_cast<int>(16 / sizeof(S));

/// True if packs of N may be loaded from, or stored to, all of these.
template <int N, class... T>
bool packs_fit(const T*... at) {
  return ((reinterpret_cast<uintptr_t>(at) % (sizeof(T) * N) == 0) && ...);
}

/// body.template operator()<N>() with the elements that may be taken at once of every row of `at`,
/// whose rows have `width`: kPack<S>, or one.
template <class S, class Body, class... At>
void with_pack(int64_t width, Body body, const At*... at) {
  constexpr int N = kPack<S>;
  if (width % N == 0 && packs_fit<N>(at...)) {
    body.template operator()<N>();
  } else {
    body.template operator()<1>();
  }
}

template <class T, int N>
__device__ Pack<T, N> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <class T, int N>
__device__ void store_pack(const Pack<T, N>& pack, T* to) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

}  // namespace filigree::cuda
