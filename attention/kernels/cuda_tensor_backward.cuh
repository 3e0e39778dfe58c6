// The backward pass in bf16 on tensor cores, by tiles: dq by rows, dk and dv by columns. For .cu
// files alone.
#pragma once

#include "attention/kernels/cuda_tensor.cuh"
#include "attention/kernels/cuda_tile_backward.cuh"

namespace filigree::kernels::cuda {

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

/// What a query's weights and slopes are made from, logarithms of base 2: +inf for one that is not
/// there or sees nothing, so that its weights become 0.
struct QueryStatistics {
  float lse2, delta;
};
__device__ inline QueryStatistics statistics_of(const TileView<Half>& view, int row) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  if (row >= view.queries) return {kInfinite, 0};
  const int64_t at = int64_t{view.query + row} * view.pass.heads + view.head;
  const float lse = view.pass.lse[at];
  return {lse == -kInfinite ? kInfinite : lse * kLog2E, view.pass.delta[at]};
}

/// Own operands, two, and two of each of two tiles.
inline int64_t tensor_backward_shared_bytes(int width) {
  return int64_t{6} * panels_elements(width) * static_cast<int64_t>(sizeof(Half));
}
/// The slopes of a tile (64, 65).
inline int64_t slopes_shared_bytes() {
  return static_cast<int64_t>(sizeof(float)) * kTile * tile_stride(kTile);
}
/// The operands, and the slopes where sums by distance are wanted.
inline int64_t tensor_rows_shared_bytes(int width, bool scored) {
  return tensor_backward_shared_bytes(width) + (scored ? slopes_shared_bytes() : 0);
}

/// Weight and slope of a visible pair: s is <q_i, k_j> and becomes the weight times the dropout's
/// factor, dp is <do_i, v_j> and becomes dL/ds_ij.
template <bool Dropout>
__device__ void weigh(float factor, float scale2, float lse2, float delta, float& s, float& dp) {
  const float weight = exp2_fast(std::fma(s, scale2, -lse2));
  s = Dropout ? weight * factor : weight;
  dp = weight == 0.0F ? 0.0F : weight * ((Dropout ? factor * dp : dp) - delta);
}

/// What tile_backward_rows() does, where no result is NaN or Inf; else says so. A block of one
/// warpgroup.
template <class Cores, int W, bool Dropout, Scores kScores>
__global__ void __launch_bounds__(kWarpgroup, Cores::blocks(Part::rows, W, kScores))
    tensor_backward_rows(TilePass<Half> pass, Half* dq, DistanceParts<float> parts) {
  constexpr bool Scored = kScores == Scores::added, Drawn = kScores != Scores::plain;
  constexpr int kTileElements = panels_elements(W);
  Half* const queries = filigree::cuda::shared_memory<Half>();
  Half* const grads = queries + kTileElements;
  Half* const tiles = grads + kTileElements;
  float* const all_slopes = reinterpret_cast<float*>(tiles + 4 * kTileElements);  // Scored
  const auto place = TilePlace::of<Walk::rows>(pass);
  const MmaLane lane;
  const int own = static_cast<int>(threadIdx.x) / 32 * kMmaRows;
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = Dropout ? pass.key_of_head(place.head) : 0;
  const float scale2 = pass.scale * kLog2E;
  TileStream<Cores, W, Walk::rows, Drawn> stream(
      pass, place, head_rows<Cores>(pass, pass.k + column, pass.stride),
      head_rows<Cores>(pass, pass.v + column, pass.stride), tiles);
  start_stream<W>(stream, place, head_rows<Cores>(pass, pass.q + column, pass.stride), queries,
                  head_rows<Cores>(pass, pass.grad + column, pass.width), grads);
  if (Scored) clear_parts(pass, place, parts);
  const RowIntervals<Drawn> intervals(pass, place, own, lane);
  const auto own_rows = TileView<Half>::of<Walk::rows>(pass, place, {});
  const QueryStatistics statistics[2] = {statistics_of(own_rows, own + lane.g),
                                         statistics_of(own_rows, own + lane.g + 8)};
  float sums[W / 8][4] = {};
  while (stream.left()) {
    const Tile tile = stream.tile();
    const auto view = TileView<Half>::of<Walk::rows>(pass, place, tile);
    const bool whole = tile.mask == kFullTile && tile.count == kTile;
    uint64_t bits[2], kept[2] = {};
    intervals.visible(view, own, lane, bits);
    if (Dropout && !Scored) kept_keys(view, dropout_key, own, lane, kept);
    stream.wait();
    const typename Cores::Operand keys = stream.first(), values = stream.second();
    float s[8][4], dp[8][4];
    multiply_both<Cores, W>(Cores::at(queries), keys, Cores::at(grads), values, s, dp);
    if (Scored) {
      scored_rows(view, dropout_key, own, lane, all_slopes, s, dp);
      __syncthreads();
      add_diagonals(view, all_slopes, parts);
    }
#pragma unroll
    for (int n = 0; n < 8 && !Scored; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (!whole && !(bits[i / 2] >> (8 * n + i % 2) & 1)) {
          s[n][i] = -std::numeric_limits<float>::infinity();
        }
        const float factor = Dropout ? kept_factor(pass, kept[i / 2], 8 * n + i % 2) : 1.0F;
        weigh<Dropout>(factor, scale2, statistics[i / 2].lse2, statistics[i / 2].delta, s[n][i],
                       dp[n][i]);
      }
    }
    FragmentA slopes[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) slopes[k] = as_left(dp, k);
    if (Scored) __syncwarp();  // tensor cores want their warps together
    Cores::hold(sums);
    Cores::hold(slopes);
    Cores::begin();
    Cores::template columns<W>(slopes, keys, sums);
    Cores::finish();
    Cores::hold(slopes);
    Cores::hold(sums);
    stream.done();
  }
  const bool paired = is_paired<Cores>(pass, dq + column, pass.stride);
  FiniteProbe probe;
  for (int r = 0; r < 2; ++r) {
    const int row = own + lane.g + 8 * r;
    if (row >= place.count) continue;
    store_row<W>(sums, r, pass.scale, lane, pass.dim, paired, probe,
                 dq + (place.first + row) * pass.stride + column);
  }
  probe.tell(pass.not_finite);
}

/// What of a tile's 64 queries a block of keys needs, in shared memory.
struct QueryColumns {
  uint64_t visible[kTile];  // bit c: the block's key c
  uint64_t kept[kTile];     // likewise, by dropout
  QueryStatistics statistics[kTile];
};

inline int64_t tensor_columns_shared_bytes(int width) {
  return tensor_backward_shared_bytes(width) + static_cast<int64_t>(sizeof(QueryColumns));
}

/// What tile_backward_columns() does, likewise; a warp has 16 keys.
template <class Cores, int W, bool Dropout, Scores kScores>
__global__ void __launch_bounds__(kWarpgroup, Cores::blocks(Part::columns, W, kScores))
    tensor_backward_columns(TilePass<Half> pass, Half* dk, Half* dv) {
  constexpr bool Scored = kScores == Scores::added, Drawn = kScores != Scores::plain;
  constexpr int kTileElements = panels_elements(W);
  Half* const keys = filigree::cuda::shared_memory<Half>();
  Half* const values = keys + kTileElements;
  Half* const tiles = values + kTileElements;
  QueryColumns& columns = *reinterpret_cast<QueryColumns*>(tiles + 4 * kTileElements);
  const auto place = TilePlace::of<Walk::columns>(pass);
  const MmaLane lane;
  const int thread = static_cast<int>(threadIdx.x), own = thread / 32 * kMmaRows;
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = Dropout ? pass.key_of_head(place.head) : 0;
  const float scale2 = pass.scale * kLog2E;
  TileStream<Cores, W, Walk::columns, Drawn> stream(
      pass, place, head_rows<Cores>(pass, pass.q + column, pass.stride),
      head_rows<Cores>(pass, pass.grad + column, pass.width), tiles);
  start_stream<W>(stream, place, head_rows<Cores>(pass, pass.k + column, pass.stride), keys,
                  head_rows<Cores>(pass, pass.v + column, pass.stride), values);
  float key_sums[W / 8][4] = {}, value_sums[W / 8][4] = {};
  while (stream.left()) {
    const Tile tile = stream.tile();
    const auto view = TileView<Half>::of<Walk::columns>(pass, place, tile);
    const bool whole = tile.mask == kFullTile && place.count == kTile;
    if (thread < kTile && !Scored) {
      int lo = 0, hi = 0;
      const bool has_interval = tile.mask == kIntervalTile || (Drawn && tile.mask == kDrawnTile);
      if (has_interval && thread < tile.count) {
        interval_of<Drawn>(pass, place, tile.first + thread, lo, hi);
      }
      columns.visible[thread] = visible_keys<Drawn>(view, thread, lo, hi);
      columns.statistics[thread] = statistics_of(view, thread);
    }
    if (Dropout && !Scored) {  // two threads a query
      const uint64_t kept = kept_of_row(view, dropout_key, thread / 2, thread % 2, 2);
      const uint64_t both = kept | __shfl_xor_sync(~0U, kept, 1);
      if (thread % 2 == 0) columns.kept[thread / 2] = both;
    }
    stream.wait();
    const typename Cores::Operand queries = stream.first(), grads = stream.second();
    float s[8][4], dp[8][4];  // of the warp's keys and the tile's queries
    multiply_both<Cores, W>(Cores::at(keys), queries, Cores::at(values), grads, s, dp);
    if (Scored) scored_columns(view, dropout_key, own, lane, s, dp);
#pragma unroll
    for (int n = 0; n < 8 && !Scored; ++n) {
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        const int row = 8 * n + 2 * lane.t + side;
        const QueryStatistics statistics = columns.statistics[row];
        const uint64_t visible = whole ? 0 : columns.visible[row] >> (own + lane.g);
        const uint64_t kept = Dropout ? columns.kept[row] : 0;
#pragma unroll
        for (int i = side; i < 4; i += 2) {
          if (!whole && !(visible >> (i / 2 * 8) & 1)) {
            s[n][i] = -std::numeric_limits<float>::infinity();
          }
          const float factor = Dropout ? kept_factor(pass, kept, own + lane.g + i / 2 * 8) : 1.0F;
          weigh<Dropout>(factor, scale2, statistics.lse2, statistics.delta, s[n][i], dp[n][i]);
        }
      }
    }
    FragmentA weights[4], slopes[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      weights[k] = as_left(s, k);
      slopes[k] = as_left(dp, k);
    }
    if (Scored) __syncwarp();  // tensor cores want their warps together
    Cores::hold(key_sums);
    Cores::hold(value_sums);
    Cores::hold(weights);
    Cores::hold(slopes);
    Cores::begin();
    Cores::template columns<W>(weights, grads, value_sums);
    Cores::template columns<W>(slopes, queries, key_sums);
    Cores::finish();
    Cores::hold(weights);
    Cores::hold(slopes);
    Cores::hold(key_sums);
    Cores::hold(value_sums);
    stream.done();
  }
  const bool paired_k = is_paired<Cores>(pass, dk + column, pass.stride);
  const bool paired_v = is_paired<Cores>(pass, dv + column, pass.stride);
  FiniteProbe probe;
  for (int r = 0; r < 2; ++r) {
    const int row = own + lane.g + 8 * r;
    if (row >= place.count) continue;
    const int64_t at = (place.first + row) * pass.stride + column;
    store_row<W>(key_sums, r, pass.scale, lane, pass.dim, paired_k, probe, dk + at);
    store_row<W>(value_sums, r, 1.0F, lane, pass.dim, paired_v, probe, dv + at);
  }
  probe.tell(pass.not_finite);
}

}  // namespace filigree::kernels::cuda
