// A row of a matrix in the registers of a warp. For .cu files alone.
#pragma once

#include "core/cuda/pack.cuh"
#include "core/cuda/rows.cuh"

namespace filigree::cuda {

/// Most elements that a lane holds: rows of up to 1024.
inline constexpr int kMostHeld = 32;

/// One warp on one row of `width` elements of S, whole packs: lane l holds the packs l, l + 32,
/// ..., `Packs` of them at most.
template <class S, int Packs>
struct HeldRow {
  static constexpr int N = kPack<S>;
  using T = Compute<S>;
  /// Numbers of a lane, a pack a row. Where the row has ended they are not used.
  using Values = T[Packs][N];

  int64_t width;
  int lane;

  /// body(q, column) for the packs that this lane holds.
  template <class Body>
  __device__ void each_pack(Body body) const {
#pragma unroll
    for (int q = 0; q < Packs; ++q) {
      const int64_t column = int64_t{N} * (lane + kWarp * q);
      if (column < width) body(q, column);
    }
  }
  /// Over the row, of f(q, i) of element i of pack q.
  template <class F>
  __device__ T sum(F f) const {
    T total = 0;
    each_pack([&](int q, int64_t) {
#pragma unroll
      for (int i = 0; i < N; ++i) total += f(q, i);
    });
    return warp_sum(total);
  }
};

template <class S, int N>
__device__ void load_values(const S* from, Compute<S> (&to)[N]) {
  const auto values = load_pack<S, N>(from);
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = load(values.of[i]);
}
template <class S, int N>
__device__ void store_values(const Compute<S> (&from)[N], S* to) {
  Pack<S, N> values;
#pragma unroll
  for (int i = 0; i < N; ++i) values.of[i] = convert<S>(from[i]);
  store_pack(values, to);
}

/// body.template operator()<Packs>() with the packs that a lane holds of a row of `width`; false,
/// without a call, where they are too many or the row is not whole packs.
template <class S, class Body>
bool with_held_row(int64_t width, Body body) {
  constexpr int N = kPack<S>;
  if (width % N != 0 || width > kMostHeld * kWarp) return false;
  constexpr int kStep = kMostHeld / 4;  // elements of a lane
  const auto steps = (width + kStep * kWarp - 1) / (kStep * kWarp);
  if (steps <= 1) {
    body.template operator()<kStep / N>();
  } else if (steps == 2) {
    body.template operator()<2 * kStep / N>();
  } else if (steps == 3) {
    body.template operator()<3 * kStep / N>();
  } else {
    body.template operator()<4 * kStep / N>();
  }
  return true;
}

}  // namespace filigree::cuda
