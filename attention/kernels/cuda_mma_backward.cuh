// The backward pass in bf16 on tensor cores, by tiles: dq by rows, dk and dv by columns. For .cu
// files alone.
#pragma once

#include "attention/kernels/cuda_mma_forward.cuh"
#include "attention/kernels/cuda_tile_backward.cuh"

namespace filigree::kernels::cuda {

/// c (16, 64) = rows own .. of a (64, W) times the transpose of b (64, W), both in shared memory.
template <int W>
__device__ void row_products(const Half* a, const Half* b, int own, MmaLane lane,
                             float (&c)[kTile / 8][4]) {
  for (int n = 0; n < kTile / 8; ++n) {
    for (int i = 0; i < 4; ++i) c[n][i] = 0;
  }
  for (int k = 0; k < W / 16; ++k) {
    const FragmentA left = fragment_a(a, mma_stride(W), own, 16 * k, lane);
    for (int n = 0; n < kTile / 8; ++n) {
      multiply(c[n], left, fragment_b(b, mma_stride(W), 8 * n, 16 * k, lane));
    }
  }
}

/// Rows own .. of a gradient, times `factor`; says where one is NaN or Inf.
template <int W>
__device__ void store_rows(const TilePass<Half>& pass, const TilePlace& place, int own,
                           MmaLane lane, const float (&sums)[W / 8][4], float factor, Half* to) {
  FiniteProbe probe;
  for (int r = 0; r < 2; ++r) {
    const int row = own + lane.g + 8 * r;
    if (row >= place.count) break;
    for (int n = 0; n < W / 8; ++n) {
      for (int i = 0; i < 2; ++i) {
        const int d = 8 * n + 2 * lane.t + i;
        if (d >= pass.dim) break;
        const float value = factor * sums[n][2 * r + i];
        probe.look_at(value);
        to[(place.first + row) * pass.stride + int64_t{place.head} * pass.dim + d] =
            to_bfloat16(value);
      }
    }
  }
  probe.tell(pass.not_finite);
}

/// What becomes of the pairs of a warp's 16 queries and a tile's keys under bias and gate: products
/// s and <do_i, v_j> in dp; dp becomes the slopes that pass, `slopes` (64, 65) all of them.
__device__ inline void scored_rows(const TileView<Half>& view, uint64_t dropout_key, int own,
                                   MmaLane lane, float* slopes, const float (&s)[kTile / 8][4],
                                   float (&dp)[kTile / 8][4]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = own + lane.g + 8 * r;
    float lse, delta;
    query_statistics(view, row, lse, delta);
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
      for (int i = 2 * r; i < 2 * r + 2; ++i) {
        const int at = 8 * n + 2 * lane.t + i % 2;
        const PairSlope<float> pair =
            pair_slope(view, row, at, view.pass.scale * s[n][i], dp[n][i], lse, delta, dropout_key);
        if (slopes) slopes[row * tile_stride(kTile) + at] = pair.slope;
        dp[n][i] = pair.slope != 0.0F && is_closed(view, row, at) ? 0.0F : pair.slope;
      }
    }
  }
}
/// Of a warp's 16 keys and a tile's queries: products s become weights times dropout's factor, dp
/// slopes, of what passes.
__device__ inline void scored_columns(const TileView<Half>& view, uint64_t dropout_key, int own,
                                      MmaLane lane, float (&s)[kTile / 8][4],
                                      float (&dp)[kTile / 8][4]) {
#pragma unroll
  for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      const int row = 8 * n + 2 * lane.t + side;
      float lse, delta;
      query_statistics(view, row, lse, delta);
#pragma unroll
      for (int i = side; i < 4; i += 2) {
        const int at = own + lane.g + i / 2 * 8;
        const PairSlope<float> pair =
            pair_slope(view, row, at, view.pass.scale * s[n][i], dp[n][i], lse, delta, dropout_key);
        const bool closed = pair.weight != 0.0F && is_closed(view, row, at);
        s[n][i] = closed ? 0.0F : pair.weight * pair.factor;
        dp[n][i] = closed ? 0.0F : pair.slope;
      }
    }
  }
}

/// q, do, k, v as rows, k across, and the slopes where sums by distance are wanted.
inline int64_t mma_rows_shared_bytes(int width, bool distances) {
  return static_cast<int64_t>(sizeof(Half)) *
             (4 * kTile * mma_stride(width) + width * mma_stride(kTile)) +
         (distances ? static_cast<int64_t>(sizeof(float)) * kTile * tile_stride(kTile) : 0);
}

/// What tile_backward_rows() does, where no result is NaN or Inf; else says so.
template <int W>
__global__ void __launch_bounds__(kMmaThreads)
    mma_backward_rows(TilePass<Half> pass, Half* dq, DistanceParts<float> parts) {
  Half* const queries = filigree::cuda::shared_memory<Half>();
  Half* const grads = queries + kTile * mma_stride(W);
  Half* const keys = grads + kTile * mma_stride(W);
  Half* const values = keys + kTile * mma_stride(W);
  Half* const keys_across = values + kTile * mma_stride(W);
  float* const slopes = reinterpret_cast<float*>(keys_across + W * mma_stride(kTile));
  const auto place = TilePlace::of<Walk::rows>(pass);
  const MmaLane lane;
  const int own = static_cast<int>(threadIdx.x) / 32 * kMmaRows;
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);
  const bool distances = parts.bias || parts.gate;
  clear_parts(pass, place.head, parts);
  load_halves<W, kMmaThreads>(pass.q + column, pass.stride, place.first, place.count, pass.dim,
                              queries, nullptr);
  load_halves<W, kMmaThreads>(pass.grad + column, pass.width, place.first, place.count, pass.dim,
                              grads, nullptr);
  float sums[W / 8][4] = {};
  for (TileWalk<Walk::rows, Half> walk(pass, place); walk.left(); walk.advance()) {
    const Tile& tile = walk.tile();
    const auto view = TileView<Half>::of<Walk::rows>(pass, place, tile);
    __syncthreads();
    load_halves<W, kMmaThreads>(pass.k + column, pass.stride, tile.first, tile.count, pass.dim,
                                keys, keys_across);
    load_halves<W, kMmaThreads>(pass.v + column, pass.stride, tile.first, tile.count, pass.dim,
                                values, nullptr);
    __syncthreads();
    float s[kTile / 8][4], dp[kTile / 8][4];
    row_products<W>(queries, keys, own, lane, s);
    row_products<W>(grads, values, own, lane, dp);
    scored_rows(view, dropout_key, own, lane, distances ? slopes : nullptr, s, dp);
    if (distances) {
      __syncthreads();
      add_diagonals(view, slopes, parts);
    }
    __syncwarp();  // mma wants its warp together
    add_product<W>(dp, keys_across, lane, sums);
  }
  store_rows<W>(pass, place, own, lane, sums, pass.scale, dq);
}

/// k, v, q, do as rows, q and do across.
inline int64_t mma_columns_shared_bytes(int width) {
  return static_cast<int64_t>(sizeof(Half)) *
         (4 * kTile * mma_stride(width) + 2 * width * mma_stride(kTile));
}

/// What tile_backward_columns() does, where no result is NaN or Inf; else says so. A warp has 16
/// keys.
template <int W>
__global__ void __launch_bounds__(kMmaThreads)
    mma_backward_columns(TilePass<Half> pass, Half* dk, Half* dv) {
  Half* const keys = filigree::cuda::shared_memory<Half>();
  Half* const values = keys + kTile * mma_stride(W);
  Half* const queries = values + kTile * mma_stride(W);
  Half* const grads = queries + kTile * mma_stride(W);
  Half* const queries_across = grads + kTile * mma_stride(W);
  Half* const grads_across = queries_across + W * mma_stride(kTile);
  const auto place = TilePlace::of<Walk::columns>(pass);
  const MmaLane lane;
  const int own = static_cast<int>(threadIdx.x) / 32 * kMmaRows;
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);
  load_halves<W, kMmaThreads>(pass.k + column, pass.stride, place.first, place.count, pass.dim,
                              keys, nullptr);
  load_halves<W, kMmaThreads>(pass.v + column, pass.stride, place.first, place.count, pass.dim,
                              values, nullptr);
  float key_sums[W / 8][4] = {}, value_sums[W / 8][4] = {};
  for (TileWalk<Walk::columns, Half> walk(pass, place); walk.left(); walk.advance()) {
    const Tile& tile = walk.tile();
    const auto view = TileView<Half>::of<Walk::columns>(pass, place, tile);
    __syncthreads();
    load_halves<W, kMmaThreads>(pass.q + column, pass.stride, tile.first, tile.count, pass.dim,
                                queries, queries_across);
    load_halves<W, kMmaThreads>(pass.grad + column, pass.width, tile.first, tile.count, pass.dim,
                                grads, grads_across);
    __syncthreads();
    float s[kTile / 8][4], dp[kTile / 8][4];  // of the warp's keys and the tile's queries
    row_products<W>(keys, queries, own, lane, s);
    row_products<W>(values, grads, own, lane, dp);
    scored_columns(view, dropout_key, own, lane, s, dp);
    __syncwarp();  // mma wants its warp together
    add_product<W>(s, grads_across, lane, value_sums);
    add_product<W>(dp, queries_across, lane, key_sums);
  }
  store_rows<W>(pass, place, own, lane, key_sums, pass.scale, dk);
  store_rows<W>(pass, place, own, lane, value_sums, 1.0F, dv);
}

}  // namespace filigree::kernels::cuda
