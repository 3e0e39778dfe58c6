// The forward pass by tiles (FlashAttention's order: Dao et al., arXiv 2205.14135; Dao, arXiv
// 2307.08691). For .cu files alone.
#pragma once

#include "attention/kernels/cuda_tile.cuh"

namespace filigree::kernels::cuda {

/// Sum, or greatest, over the 16 threads that share their queries.
template <class T>
__device__ T sum_over_x(T value) {
  for (int step = kLane / 2; step > 0; step /= 2) value += __shfl_xor_sync(~0U, value, step);
  return value;
}
template <class T>
__device__ T max_over_x(T value) {
  for (int step = kLane / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(~0U, value, step);
    value = other > value ? other : value;
  }
  return value;
}

/// What is known of a thread's queries after some of their keys (row_state.h on the CPU), and its
/// columns x + 16 c of their sums.
template <class T, int C>
struct TileRows {
  T top[kMine], sum[kMine], out[kMine][C];

  __device__ void clear() {
    for (int r = 0; r < kMine; ++r) {
      top[r] = -std::numeric_limits<T>::infinity();
      sum[r] = 0;
      for (int c = 0; c < C; ++c) out[r][c] = 0;
    }
  }
  /// Takes in scores, -inf for none, and leaves their weights e^{s - top} in their place.
  __device__ void add_scores(T (&s)[kMine][kMine]) {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    for (int r = 0; r < kMine; ++r) {
      T highest = top[r];
      for (int c = 0; c < kMine; ++c) highest = s[r][c] > highest ? s[r][c] : highest;
      highest = max_over_x(highest);
      T total = 0;
      for (int c = 0; c < kMine; ++c) {  // a NaN is passed over by the maximum, not here
        s[r][c] = s[r][c] == kNone ? T(0) : std::exp(s[r][c] - highest);
        total += s[r][c];
      }
      const T shrink = top[r] == highest ? T(1) : std::exp(top[r] - highest);
      sum[r] = sum[r] * shrink + sum_over_x(total);
      for (int c = 0; c < C; ++c) out[r][c] *= shrink;
      top[r] = highest;
    }
  }
};

template <class T>
int64_t forward_shared_bytes(int dim) {
  return static_cast<int64_t>(sizeof(T)) * kTile * (2 * tile_stride(dim) + tile_stride(kTile));
}

/// o and lse of 64 queries of one head. C: columns of a thread, 16 C >= dim.
template <class S, int C>
__device__ void forward_block(const TilePass<S>& pass, const TilePlace& place, S* o,
                              filigree::cuda::Compute<S>* lse) {
  using T = filigree::cuda::Compute<S>;
  T* const queries = filigree::cuda::shared_memory<T>();
  T* const keys = queries + kTile * tile_stride(pass.dim);
  T* const weights = keys + kTile * tile_stride(pass.dim);
  const int weight_stride = tile_stride(kTile);
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);
  load_tile(pass.q + column, pass.stride, place.first, place.count, pass.dim, pass.scale, queries);
  TileRows<T, C> rows;
  rows.clear();
  for (TileWalk<Walk::rows, S> walk(pass, place); walk.left(); walk.advance()) {
    const Tile& tile = walk.tile();
    const auto view = TileView<S>::template of<Walk::rows>(pass, place, tile);
    __syncthreads();
    load_tile(pass.k + column, pass.stride, tile.first, tile.count, pass.dim, T(1), keys);
    __syncthreads();
    T s[kMine][kMine];
    tile_products(queries, keys, pass.dim, place.y, place.x, s);
    for (int r = 0; r < kMine; ++r) {
      for (int c = 0; c < kMine; ++c) {
        const int row = kMine * place.y + r, at = place.x + kLane * c;
        s[r][c] = view.visible(row, at) ? view.score(row, at, s[r][c])
                                        : -std::numeric_limits<T>::infinity();
      }
    }
    rows.add_scores(s);
    for (int r = 0; r < kMine; ++r) {
      for (int c = 0; c < kMine; ++c) {
        const int row = kMine * place.y + r, at = place.x + kLane * c;
        weights[row * weight_stride + at] =
            s[r][c] == T(0) ? T(0) : s[r][c] * view.factor(dropout_key, row, at);
      }
    }
    __syncthreads();
    load_tile(pass.v + column, pass.stride, tile.first, tile.count, pass.dim, T(1), keys);
    __syncthreads();
    add_weighted_rows<T, C>([&](int p, int row) { return weights[row * weight_stride + p]; }, keys,
                            pass.dim, place.y, place.x, rows.out);
  }
  for (int r = 0; r < kMine; ++r) {
    const int row = kMine * place.y + r;
    if (row >= place.count) break;
    const bool none = rows.sum[r] == T(0);  // an empty row
    const int64_t token = place.first + row;
    for (int c = 0; c < C; ++c) {
      const int d = place.x + kLane * c;
      if (d < pass.dim)
        o[token * pass.width + column + d] = convert<S>(none ? T(0) : rows.out[r][c] / rows.sum[r]);
    }
    if (place.x == 0) {
      lse[token * pass.heads + place.head] =
          none ? -std::numeric_limits<T>::infinity() : rows.top[r] + std::log(rows.sum[r]);
    }
  }
}

/// The pass, or what is left over of it.
template <class S, int C>
__global__ void __launch_bounds__(kThreads)
    tile_forward(TilePass<S> pass, S* o, filigree::cuda::Compute<S>* lse) {
  if (!is_left_over(pass)) return;
  for_blocks(pass, [&](int block, int head) {
    forward_block<S, C>(pass, TilePlace::of<Walk::rows>(pass, block, head), o, lse);
  });
}

}  // namespace filigree::kernels::cuda
