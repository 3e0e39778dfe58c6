// Reaches that tokens draw, on the device: the race of ReachDraws (attention/degrees/draws.h), a
// warp a token. For .cu files alone.
#pragma once

#include <cmath>
#include <limits>

#include "core/cuda/random.cuh"
#include "core/cuda/rows.cuh"

namespace filigree::kernels::cuda {

/// What is drawn from.
struct DrawTables {
  const double* p;             // (H, K): probabilities
  const uint64_t* keys;        // (H): of the draws
  const int32_t* reaches;      // (K)
  const int32_t* first_reach;  // (distances): the first k whose reach is at least so far
  int32_t count, distances;    // K; beyond 0 .. distances - 1 no two tokens are apart
  double tau;
};

/// E = -ln U of ReachDraws, mean 1 and never 0, with the precision of T: near U = 1 by the
/// complement of U, which float has as many digits of.
template <class T>
__device__ T exponential(uint32_t bits);
template <>
__device__ inline double exponential(uint32_t bits) {
  return -std::log((static_cast<double>(bits) + 0.5) * 0x1p-32);
}
template <>
__device__ inline float exponential(uint32_t bits) {
  constexpr float kUnit = 0x1p-32F;
  return bits >= uint32_t{1} << 31 ? -std::log1p(-(static_cast<float>(~bits) + 0.5F) * kUnit)
                                   : -std::log((static_cast<float>(bits) + 0.5F) * kUnit);
}

/// The race of one token, by a warp: a lane has four reaches at a time, those of one random block.
class Race {
 public:
  __device__ Race(const DrawTables& tables, int head, int64_t token)
      : p_(tables.p + int64_t{head} * tables.count),
        key_(tables.keys[head]),
        token_(token),
        count_(tables.count),
        lane_(static_cast<int>(threadIdx.x) % filigree::cuda::kWarp) {}

  /// Reaches of one round: four a lane.
  static constexpr int kRound = 4 * filigree::cuda::kWarp;
  /// body(k) of the lane's own reaches of the round from `first` on.
  template <class Body>
  __device__ void each_own(int first, Body body) const {
    const int mine = first + 4 * lane_;
    for (int k = mine; k < mine + 4 && k < count_; ++k) body(k);
  }
  /// body(k, random bits), likewise.
  template <class Body>
  __device__ void round(int first, Body body) const {
    const int mine = first + 4 * lane_;
    if (mine >= count_) return;
    const filigree::cuda::Bits bits = filigree::cuda::philox(key_, static_cast<uint64_t>(token_),
                                                             static_cast<uint64_t>(mine / 4));
    for (int i = 0; i < 4 && mine + i < count_; ++i) body(mine + i, bits.word[i]);
  }
  /// The same, of all rounds.
  template <class Body>
  __device__ void each(Body body) const {
    for (int first = 0; first < count_; first += kRound) round(first, body);
  }
  /// When reach k arrives: E_k / p_k.
  template <class T>
  __device__ T time(int k, uint32_t bits) const {
    return exponential<T>(bits) / static_cast<T>(p_[k]);
  }
  template <class T>
  __device__ T least() const {
    T least = std::numeric_limits<T>::infinity();
    each([&](int k, uint32_t bits) {
      const T arrives = time<T>(k, bits);
      least = arrives < least ? arrives : least;
    });
    return -filigree::cuda::warp_max(-least);
  }

  /// The index of the reach that is drawn, the CPU's unless two arrive within the last bits of a
  /// double. Only what is first within what float can tell is timed in double.
  __device__ int first() const {
    constexpr float kFloatCannotTell = 1 + 1e-5F;
    const float about = least<float>() * kFloatCannotTell;
    double least = std::numeric_limits<double>::infinity();
    int winner = count_ - 1;
    each([&](int k, uint32_t bits) {
      if (time<float>(k, bits) > about) return;
      const double arrives = time<double>(k, bits);
      if (arrives < least) least = arrives, winner = k;
    });
    for (int step = filigree::cuda::kWarp / 2; step > 0; step /= 2) {
      const double arrives = __shfl_xor_sync(~0U, least, step);
      const int other = __shfl_xor_sync(~0U, winner, step);
      if (arrives < least || (arrives == least && other < winner)) least = arrives, winner = other;
    }
    return winner;
  }

 private:
  const double* p_;
  uint64_t key_;
  int64_t token_;
  int count_, lane_;
};

}  // namespace filigree::kernels::cuda
