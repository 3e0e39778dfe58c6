// The forward pass in bf16 on tensor cores, by tiles. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_mma.cuh"
#include "attention/kernels/cuda_tile.cuh"

namespace filigree::kernels::cuda {

inline constexpr int kMmaThreads = 128, kMmaRows = 16;  // a warp has 16 of the block's 64 rows

/// Sum, or greatest, over the four lanes that share a row.
__device__ inline float sum_over_row(float value) {
  value += __shfl_xor_sync(~0U, value, 1);
  return value + __shfl_xor_sync(~0U, value, 2);
}
__device__ inline float max_over_row(float value) {
  for (int step = 1; step <= 2; step *= 2) {
    const float other = __shfl_xor_sync(~0U, value, step);
    value = other > value ? other : value;
  }
  return value;
}

/// A tile of 16 x 64 f32 numbers as the left side of a product over its 64 columns.
__device__ inline FragmentA as_left(const float (&c)[kTile / 8][4], int k) {
  return {{pack(c[2 * k][0], c[2 * k][1]), pack(c[2 * k][2], c[2 * k][3]),
           pack(c[2 * k + 1][0], c[2 * k + 1][1]), pack(c[2 * k + 1][2], c[2 * k + 1][3])}};
}

/// sums (16, W) += left (16, 64) times right (64, W), whose transpose (W, 64) is in shared memory.
template <int W>
__device__ void add_product(const float (&left)[kTile / 8][4], const Half* right, MmaLane lane,
                            float (&sums)[W / 8][4]) {
  for (int k = 0; k < kTile / 16; ++k) {
    const FragmentA a = as_left(left, k);
    for (int n = 0; n < W / 8; ++n) {
      multiply(sums[n], a, fragment_b(right, mma_stride(kTile), 8 * n, 16 * k, lane));
    }
  }
}

inline int64_t mma_forward_shared_bytes(int width) {
  return static_cast<int64_t>(sizeof(Half)) *
         (kTile * mma_stride(width) + width * mma_stride(kTile));
}

/// What tile_forward() does, where no result is NaN or Inf; else says so. W: elements of a head,
/// filled up.
template <int W>
__global__ void __launch_bounds__(kMmaThreads)
    mma_forward(TilePass<Half> pass, Half* o, float* lse) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  Half* const keys = filigree::cuda::shared_memory<Half>();  // (64, W)
  Half* const values = keys + kTile * mma_stride(W);         // (W, 64): transposed
  const auto place = TilePlace::of<Walk::rows>(pass);
  const MmaLane lane;
  const int own = static_cast<int>(threadIdx.x) / 32 * kMmaRows;  // the warp's first row
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);

  load_halves<W, kMmaThreads>(pass.q + column, pass.stride, place.first, place.count, pass.dim,
                              keys, nullptr);
  __syncthreads();
  FragmentA queries[W / 16];
  for (int k = 0; k < W / 16; ++k) queries[k] = fragment_a(keys, mma_stride(W), own, 16 * k, lane);

  float out[W / 8][4] = {}, top[2] = {kNone, kNone}, sum[2] = {};
  for (TileWalk<Walk::rows, Half> walk(pass, place); walk.left(); walk.advance()) {
    const Tile& tile = walk.tile();
    const auto view = TileView<Half>::of<Walk::rows>(pass, place, tile);
    __syncthreads();
    load_halves<W, kMmaThreads>(pass.k + column, pass.stride, tile.first, tile.count, pass.dim,
                                keys, nullptr);
    load_halves<W, kMmaThreads>(pass.v + column, pass.stride, tile.first, tile.count, pass.dim,
                                nullptr, values);
    __syncthreads();
    float s[kTile / 8][4] = {};
    for (int n = 0; n < kTile / 8; ++n) {
      for (int k = 0; k < W / 16; ++k) {
        multiply(s[n], queries[k], fragment_b(keys, mma_stride(W), 8 * n, 16 * k, lane));
      }
    }
    float highest[2] = {top[0], top[1]};
    for (int n = 0; n < kTile / 8; ++n) {
      for (int i = 0; i < 4; ++i) {
        const int row = own + lane.g + i / 2 * 8, at = 8 * n + 2 * lane.t + i % 2;
        s[n][i] = view.visible(row, at) ? view.score(row, at, pass.scale * s[n][i]) : kNone;
        highest[i / 2] = s[n][i] > highest[i / 2] ? s[n][i] : highest[i / 2];
      }
    }
    float shrink[2], total[2] = {};
    for (int r = 0; r < 2; ++r) {
      highest[r] = max_over_row(highest[r]);
      shrink[r] = top[r] == highest[r] ? 1.0F : std::exp(top[r] - highest[r]);
      top[r] = highest[r];
    }
    for (int n = 0; n < kTile / 8; ++n) {
      for (int i = 0; i < 4; ++i) {
        const int row = own + lane.g + i / 2 * 8, at = 8 * n + 2 * lane.t + i % 2;
        const float weight = s[n][i] == kNone ? 0.0F : std::exp(s[n][i] - top[i / 2]);
        total[i / 2] += weight;
        s[n][i] = weight == 0.0F ? 0.0F : weight * view.factor(dropout_key, row, at);
      }
    }
    for (int r = 0; r < 2; ++r) sum[r] = sum[r] * shrink[r] + sum_over_row(total[r]);
    for (int n = 0; n < W / 8; ++n) {
      for (int i = 0; i < 4; ++i) out[n][i] *= shrink[i / 2];
    }
    __syncwarp();  // mma wants its warp together
    add_product<W>(s, values, lane, out);
  }
  FiniteProbe probe;
  for (int r = 0; r < 2; ++r) {
    const int row = own + lane.g + 8 * r;
    if (row >= place.count) break;
    const bool none = sum[r] == 0.0F;  // an empty row
    const int64_t token = place.first + row;
    for (int n = 0; n < W / 8; ++n) {
      for (int i = 0; i < 2; ++i) {
        const int d = 8 * n + 2 * lane.t + i;
        if (d >= pass.dim) break;
        const float value = none ? 0.0F : out[n][2 * r + i] / sum[r];
        probe.look_at(value);
        o[token * pass.width + column + d] = to_bfloat16(value);
      }
    }
    if (lane.t == 0) {
      lse[token * pass.heads + place.head] = none ? kNone : top[r] + std::log(sum[r]);
    }
  }
  probe.tell(pass.not_finite);
}

}  // namespace filigree::kernels::cuda
