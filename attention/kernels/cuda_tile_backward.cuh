// The backward pass by tiles: dq, dbias and dgate a row of tiles at a time; dk and dv a column. For
// .cu files alone.
#pragma once

#include "attention/kernels/cuda_tile.cuh"

namespace filigree::kernels::cuda {

/// What a block adds up by distance, for its own 64 queries: (blocks, H, 2 R + 1). Distance d from
/// one block is touched by one thread at a time.
template <class T>
struct DistanceParts {
  T *bias, *gate;  // null for none
};

/// Zeros for the block's parts; its threads meet before they add to them.
template <class S, class T>
__device__ void clear_parts(const TilePass<S>& pass, const TilePlace& place,
                            DistanceParts<T> parts) {
  const int64_t at = int64_t{place.block} * pass.heads + place.head;
  const auto clear = [&](T* all, int64_t reach) {
    const int64_t count = 2 * reach + 1;
    for (int64_t d = threadIdx.x; all && d < count; d += blockDim.x) all[at * count + d] = 0;
  };
  clear(parts.bias, pass.bias_reach);
  clear(parts.gate, pass.gate_reach);
}

/// What becomes of a pair in the backward pass.
template <class T>
struct PairSlope {
  T weight = 0, slope = 0;  // a_ij, and dL/ds_ij before what is closed is closed
  T factor = 0;             // of dropout
};

/// product: scale <q_i, k_j>; dp: <do_i, v_j>. All 0 for a pair that nothing passes, whatever its
/// product and dp are.
template <class S, class T>
__device__ PairSlope<T> pair_slope(const TileView<S>& view, int row, int column, T product, T dp,
                                   T lse, T delta, uint64_t dropout_key) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  if (lse == kNone || !view.visible(row, column)) return {};
  const TilePass<S>& pass = view.pass;
  const T gate = view.gate_of(row, column);
  T score = product + view.bias_of(row, column);
  if (gate != kNone) {
    score += gate;
  } else if (view.distance(row, column) <= pass.gate_reach &&
             -view.distance(row, column) <= pass.gate_reach) {
    score = score > lse + kClosedExponentOnDevice ? lse + kClosedExponentOnDevice : score;
  } else {  // beyond the gate: never seen
    return {};
  }
  if (score == kNone) return {};  // also in a row whose lse is NaN
  PairSlope<T> pair;
  pair.weight = std::exp(score - lse);
  if (pair.weight == T(0)) return {};
  pair.factor = view.factor(dropout_key, row, column);
  pair.slope = pair.weight * (pair.factor * dp - delta);
  return pair;
}

/// lse and delta of a query; -inf and 0 of one that is not in the tile.
template <class S, class T>
__device__ void query_statistics(const TileView<S>& view, int row, T& lse, T& delta) {
  const int64_t at = int64_t{view.query + row} * view.pass.heads + view.head;
  const bool there = row < view.queries;
  lse = there ? view.pass.lse[at] : -std::numeric_limits<T>::infinity();
  delta = there ? view.pass.delta[at] : T(0);
}

/// True if the visible pair is gated and closed: nothing passes, though its slope counts for the
/// gate.
template <class S>
__device__ bool is_closed(const TileView<S>& view, int row, int column) {
  using T = filigree::cuda::Compute<S>;
  return view.pass.log_gate && view.gate_of(row, column) == -std::numeric_limits<T>::infinity();
}

/// pair_slope() of a thread's pairs: products in s to weights, <do_i, v_j> in dp to slopes.
template <class S, class T>
__device__ void weights_and_slopes(const TileView<S>& view, uint64_t dropout_key, int y, int x,
                                   T (&s)[kMine][kMine], T (&dp)[kMine][kMine],
                                   T (&factors)[kMine][kMine]) {
  for (int r = 0; r < kMine; ++r) {
    const int row = kMine * y + r;
    T lse, delta;
    query_statistics(view, row, lse, delta);
    for (int c = 0; c < kMine; ++c) {
      const PairSlope<T> pair =
          pair_slope(view, row, x + kLane * c, s[r][c], dp[r][c], lse, delta, dropout_key);
      s[r][c] = pair.weight;
      dp[r][c] = pair.slope;
      factors[r][c] = pair.factor;
    }
  }
}

/// Adds the slopes of a tile (64, 65) to the block's parts, a thread a diagonal.
template <class S, class T>
__device__ void add_diagonals(const TileView<S>& view, const T* slopes, DistanceParts<T> parts) {
  const TilePass<S>& pass = view.pass;
  const int diagonal = static_cast<int>(threadIdx.x) - (kTile - 1);
  if (diagonal >= kTile) return;
  const int64_t distance = int64_t{view.key} - view.query + diagonal;
  const int64_t far = distance < 0 ? -distance : distance;
  T bias = 0, gate = 0;
  for (int row = 0; row < kTile; ++row) {
    const int column = row + diagonal;
    if (column < 0 || column >= kTile || row >= view.queries || column >= view.keys) continue;
    const T slope = slopes[row * tile_stride(kTile) + column];
    if (view.gated(row, column)) gate += slope;
    if (!is_closed(view, row, column)) bias += slope;
  }
  const int64_t at = int64_t{view.block} * pass.heads + view.head;
  if (parts.bias && far <= pass.bias_reach) {
    parts.bias[at * (2 * pass.bias_reach + 1) + pass.bias_reach + distance] += bias;
  }
  if (parts.gate && far <= pass.gate_reach) {
    parts.gate[at * (2 * pass.gate_reach + 1) + pass.gate_reach + distance] += gate;
  }
}

template <class T>
int64_t backward_shared_bytes(int dim) {
  return static_cast<int64_t>(sizeof(T)) * kTile * (3 * tile_stride(dim) + tile_stride(kTile));
}

/// dq of 64 queries of one head, and their parts of dbias and dgate.
template <class S, int C>
__device__ void backward_rows_block(const TilePass<S>& pass, const TilePlace& place, S* dq,
                                    DistanceParts<filigree::cuda::Compute<S>> parts) {
  using T = filigree::cuda::Compute<S>;
  T* const queries = filigree::cuda::shared_memory<T>();
  T* const grads = queries + kTile * tile_stride(pass.dim);
  T* const keys = grads + kTile * tile_stride(pass.dim);
  T* const slopes = keys + kTile * tile_stride(pass.dim);
  const int slope_stride = tile_stride(kTile);
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);
  clear_parts(pass, place, parts);
  load_tile(pass.q + column, pass.stride, place.first, place.count, pass.dim, pass.scale, queries);
  load_tile(pass.grad + column, pass.width, place.first, place.count, pass.dim, T(1), grads);
  T sums[kMine][C] = {};
  for (TileWalk<Walk::rows, S> walk(pass, place); walk.left(); walk.advance()) {
    const Tile& tile = walk.tile();
    const auto view = TileView<S>::template of<Walk::rows>(pass, place, tile);
    T s[kMine][kMine], dp[kMine][kMine], factors[kMine][kMine];
    __syncthreads();
    load_tile(pass.k + column, pass.stride, tile.first, tile.count, pass.dim, T(1), keys);
    __syncthreads();
    tile_products(queries, keys, pass.dim, place.y, place.x, s);
    __syncthreads();
    load_tile(pass.v + column, pass.stride, tile.first, tile.count, pass.dim, T(1), keys);
    __syncthreads();
    tile_products(grads, keys, pass.dim, place.y, place.x, dp);
    weights_and_slopes(view, dropout_key, place.y, place.x, s, dp, factors);
    for (int r = 0; r < kMine; ++r) {
      for (int c = 0; c < kMine; ++c) {
        slopes[(kMine * place.y + r) * slope_stride + place.x + kLane * c] = dp[r][c];
      }
    }
    __syncthreads();
    if (parts.bias || parts.gate) add_diagonals(view, slopes, parts);
    if (pass.log_gate) {  // what is closed has given its slopes
      __syncthreads();
      for (int r = 0; r < kMine; ++r) {
        for (int c = 0; c < kMine; ++c) {
          const int row = kMine * place.y + r, at = place.x + kLane * c;
          if (dp[r][c] != T(0) && is_closed(view, row, at)) slopes[row * slope_stride + at] = 0;
        }
      }
    }
    load_tile(pass.k + column, pass.stride, tile.first, tile.count, pass.dim, T(1), keys);
    __syncthreads();
    add_weighted_rows<T, C>([&](int p, int row) { return slopes[row * slope_stride + p]; }, keys,
                            pass.dim, place.y, place.x, sums);
  }
  for (int r = 0; r < kMine; ++r) {
    const int row = kMine * place.y + r;
    if (row >= place.count) break;
    for (int c = 0; c < C; ++c) {
      const int d = place.x + kLane * c;
      if (d < pass.dim) {
        dq[(place.first + row) * pass.stride + column + d] = convert<S>(sums[r][c] * pass.scale);
      }
    }
  }
}

/// dk and dv of 64 keys of one head.
template <class S, int C>
__device__ void backward_columns_block(const TilePass<S>& pass, const TilePlace& place, S* dk,
                                       S* dv) {
  using T = filigree::cuda::Compute<S>;
  T* const keys = filigree::cuda::shared_memory<T>();
  T* const values = keys + kTile * tile_stride(pass.dim);
  T* const rows = values + kTile * tile_stride(pass.dim);
  T* const weights = rows + kTile * tile_stride(pass.dim);
  const int weight_stride = tile_stride(kTile);
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);
  load_tile(pass.k + column, pass.stride, place.first, place.count, pass.dim, T(1), keys);
  load_tile(pass.v + column, pass.stride, place.first, place.count, pass.dim, T(1), values);
  T key_sums[kMine][C] = {}, value_sums[kMine][C] = {};
  const auto weight = [&](int p, int key) { return weights[p * weight_stride + key]; };
  for (TileWalk<Walk::columns, S> walk(pass, place); walk.left(); walk.advance()) {
    const Tile& tile = walk.tile();
    const auto view = TileView<S>::template of<Walk::columns>(pass, place, tile);
    T s[kMine][kMine], dp[kMine][kMine], factors[kMine][kMine];
    __syncthreads();
    load_tile(pass.q + column, pass.stride, tile.first, tile.count, pass.dim, pass.scale, rows);
    __syncthreads();
    tile_products(rows, keys, pass.dim, place.y, place.x, s);
    __syncthreads();
    load_tile(pass.grad + column, pass.width, tile.first, tile.count, pass.dim, T(1), rows);
    __syncthreads();
    tile_products(rows, values, pass.dim, place.y, place.x, dp);
    weights_and_slopes(view, dropout_key, place.y, place.x, s, dp, factors);
    for (int r = 0; r < kMine; ++r) {
      for (int c = 0; c < kMine; ++c) {
        const int row = kMine * place.y + r, at = place.x + kLane * c;
        if (s[r][c] != T(0) && is_closed(view, row, at)) s[r][c] = dp[r][c] = 0;
        weights[row * weight_stride + at] = s[r][c] == T(0) ? T(0) : s[r][c] * factors[r][c];
      }
    }
    __syncthreads();
    add_weighted_rows<T, C>(weight, rows, pass.dim, place.y, place.x, value_sums);
    __syncthreads();
    for (int r = 0; r < kMine; ++r) {
      for (int c = 0; c < kMine; ++c) {
        weights[(kMine * place.y + r) * weight_stride + place.x + kLane * c] = dp[r][c];
      }
    }
    load_tile(pass.q + column, pass.stride, tile.first, tile.count, pass.dim, pass.scale, rows);
    __syncthreads();
    add_weighted_rows<T, C>(weight, rows, pass.dim, place.y, place.x, key_sums);
  }
  for (int r = 0; r < kMine; ++r) {
    const int row = kMine * place.y + r;
    if (row >= place.count) break;
    for (int c = 0; c < C; ++c) {
      const int d = place.x + kLane * c;
      if (d >= pass.dim) break;
      const int64_t at = (place.first + row) * pass.stride + column + d;
      dk[at] = convert<S>(key_sums[r][c]);
      dv[at] = convert<S>(value_sums[r][c]);
    }
  }
}

/// The passes, or what is left over of them.
template <class S, int C>
__global__ void __launch_bounds__(kThreads)
    tile_backward_rows(TilePass<S> pass, S* dq, DistanceParts<filigree::cuda::Compute<S>> parts) {
  if (!is_left_over(pass)) return;
  for_blocks(pass, [&](int block, int head) {
    backward_rows_block<S, C>(pass, TilePlace::of<Walk::rows>(pass, block, head), dq, parts);
  });
}
template <class S, int C>
__global__ void __launch_bounds__(kThreads) tile_backward_columns(TilePass<S> pass, S* dk, S* dv) {
  if (!is_left_over(pass)) return;
  for_blocks(pass, [&](int block, int head) {
    backward_columns_block<S, C>(pass, TilePlace::of<Walk::columns>(pass, block, head), dk, dv);
  });
}

}  // namespace filigree::kernels::cuda
