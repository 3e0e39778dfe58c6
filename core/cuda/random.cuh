// The random numbers of core/random.h on the device, with the same bits. For .cu files alone.
#pragma once

#include <Random123/philox.h>
#include <cstdint>
#include <cuda_runtime.h>

#include "core/kernels/dropout.h"

namespace filigree::cuda {

struct Bits {
  uint32_t word[4];
};

/// As filigree::philox().
__device__ inline Bits philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  const r123::Philox4x32::ctr_type counter{
      {static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
       static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)}};
  const r123::Philox4x32::key_type words{
      {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}};
  const auto bits = r123::Philox4x32()(counter, words);
  return {{bits.v[0], bits.v[1], bits.v[2], bits.v[3]}};
}

/// As filigree::mix_key({a, b}).
__device__ inline uint64_t mix_key(uint64_t a, uint64_t b) {
  Bits bits = philox(0x66696c6967726565u, 0, a);
  const uint64_t key = uint64_t{bits.word[1]} << 32 | bits.word[0];
  bits = philox(key, 1, b);
  return uint64_t{bits.word[1]} << 32 | bits.word[0];
}

/// As filigree::to_uniform().
__device__ inline float to_uniform(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

/// The mask of kernels::dropout: values are T.
template <class T>
struct DropoutMask {
  uint64_t key;
  float threshold;
  T kept;

  explicit DropoutMask(KeyedDropout dropout)
      : key(dropout.key),
        threshold(static_cast<float>(dropout.p)),
        kept(static_cast<T>(1 / (1 - dropout.p))) {}
  /// False where all is kept.
  __device__ bool drops() const { return threshold > 0; }
  /// 1 / (1 - p) or 0, of the elements first .. first+N-1. Where N is a multiple of 4, so is first:
  /// they are whole counters of four. Else they are within one counter.
  template <int N>
  __device__ void factors(int64_t first, T (&factor)[N]) const {
    if constexpr (N % 4 == 0) {
#pragma unroll
      for (int j = 0; j < N; j += 4) {
        const Bits bits = philox(key, 0, static_cast<uint64_t>((first + j) / 4));
#pragma unroll
        for (int k = 0; k < 4; ++k) factor[j + k] = of(bits.word[k]);
      }
    } else {
      static_assert(N < 4);
      const Bits bits = philox(key, 0, static_cast<uint64_t>(first / 4));
      for (int j = 0; j < N; ++j) factor[j] = of(bits.word[(first + j) % 4]);
    }
  }

 private:
  __device__ T of(uint32_t bits) const { return to_uniform(bits) >= threshold ? kept : T(0); }
};

}  // namespace filigree::cuda
