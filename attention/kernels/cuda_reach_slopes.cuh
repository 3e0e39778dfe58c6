// What the pairs of tokens that draw their reaches give to the logits of the draws. A block has 64
// queries of one head: it walks over the tiles within their reaches and the margin, adds up the
// slopes of every query by reach, and weighs them with the query's soft draw. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_draws.cuh"
#include "attention/kernels/cuda_tensor_backward.cuh"

namespace filigree::kernels::cuda {

/// e_ij = dL/dm_ij of a pair that its query sees, or may come to see; 0 of others. product: scale
/// <q_i, k_j>; dp: <do_i, v_j>.
template <class S, class T>
__device__ T reach_slope(const TileView<S>& view, int row, int column, T product, T dp, T lse,
                         T delta, uint64_t dropout_key) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  if (lse == kNone || row >= view.queries || column >= view.keys ||
      view.is_always_on(row, column) || !view.is_within(row, column, view.pass.drawn.margin)) {
    return 0;
  }
  T score = product + view.bias_of(row, column);
  score = score > lse + kClosedExponentOnDevice ? lse + kClosedExponentOnDevice : score;
  if (score == kNone) return 0;  // also in a row whose lse is NaN
  const T weight = std::exp(score - lse);
  if (weight == T(0)) return 0;
  return weight * (view.factor(dropout_key, row, column) * dp - delta);
}

/// The sum of `value` over the lanes before the calling one.
template <class T>
__device__ T warp_sum_before(T value) {
  const int lane = static_cast<int>(threadIdx.x) % filigree::cuda::kWarp;
  T sum = value;
  for (int step = 1; step < filigree::cuda::kWarp; step *= 2) {
    const T other = __shfl_up_sync(~0U, sum, step);
    if (lane >= step) sum += other;
  }
  return sum - value;
}

/// Sums of slopes (64, K): row by row, at k those of distances beyond reach k - 1, up to reach k.
template <class T>
class ReachSums {
 public:
  /// memory: 64 K numbers.
  __device__ ReachSums(const DrawTables& tables, T* memory) : tables_(tables), sums_(memory) {}

  __device__ void clear() {
    const int all = kTile * tables_.count;
    for (int e = static_cast<int>(threadIdx.x); e < all; e += static_cast<int>(blockDim.x)) {
      sums_[e] = 0;
    }
  }

  /// Adds the slopes (64, 65) of a tile. A thread walks along a part of a row and adds what keys of
  /// one reach have, which follow one another, at once. Parts of a row have at most the reach at
  /// their seam in common: what a later part begins with waits until the earlier ones are done. In
  /// a tile of both sides of the diagonal they have more, and one thread has the row.
  template <class S>
  __device__ void add(const TileView<S>& view, const T* slopes) {
    const int threads = static_cast<int>(blockDim.x);
    const int parts = view.query == view.key ? 1 : threads / kTile, width = kTile / parts;
    const int row = static_cast<int>(threadIdx.x) % kTile;
    const int part = static_cast<int>(threadIdx.x) / kTile;
    const bool works = part < parts && row < view.queries;
    T* const sums = sums_ + row * tables_.count;
    Run waits{-1, 0};
    if (works) {
      Run run{-1, 0};
      bool first = part > 0;
      const auto end_run = [&] {
        if (first) {
          waits = run;
        } else if (run.k >= 0) {
          sums[run.k] += run.sum;
        }
        first = false;
      };
      for (int column = part * width; column < (part + 1) * width; ++column) {
        const int k = reach_of(view, row, column);
        if (k != run.k && column > part * width) end_run();
        if (k != run.k) run = {k, 0};
        run.sum += slopes[row * tile_stride(kTile) + column];
      }
      end_run();
    }
    for (int p = 1; p < parts; ++p) {
      __syncthreads();
      if (works && part == p && waits.k >= 0) sums[waits.k] += waits.sum;
    }
  }

  /// parts (K): what the block's queries give, sum_i z_ik (C_ik - sum_k' z_ik' C_ik') / tau, C_ik
  /// the sum up to reach k and z_i the soft draw of query i. The sums are used up.
  __device__ void weigh(const TilePlace& place, T* parts) {
    __syncthreads();
    const int warps = static_cast<int>(blockDim.x) / filigree::cuda::kWarp;
    for (int row = static_cast<int>(threadIdx.x) / filigree::cuda::kWarp; row < place.count;
         row += warps) {
      weigh_row(Race(tables_, place.head, place.first + row), sums_ + row * tables_.count);
    }
    __syncthreads();
    for (int k = static_cast<int>(threadIdx.x); k < tables_.count;
         k += static_cast<int>(blockDim.x)) {
      T sum = 0;
      for (int row = 0; row < place.count; ++row) sum += sums_[row * tables_.count + k];
      parts[k] = sum;
    }
  }

 private:
  struct Run {
    int k;
    T sum;
  };
  /// k of the pair's distance; -1 if there is no such pair.
  template <class S>
  __device__ int reach_of(const TileView<S>& view, int row, int column) const {
    if (column >= view.keys) return -1;
    const int distance = view.key + column - (view.query + row);
    const int far = distance < 0 ? -distance : distance;
    return far > 0 && far < tables_.distances ? tables_.first_reach[far] : -1;
  }

  /// By a warp: sums of one query to what it gives.
  __device__ void weigh_row(const Race& race, T* sums) const {
    const T least = race.template least<T>(), power = static_cast<T>(1 / tables_.tau);
    const auto soft = [&](int k, uint32_t bits) {
      return std::pow(least / race.template time<T>(k, bits), power);
    };
    T total = 0, weighted = 0;
    with_sums_up_to(race, sums, [&](int k, uint32_t bits, T up_to) {
      const T z = soft(k, bits);
      total += z;
      weighted += z * up_to;
    });
    total = filigree::cuda::warp_sum(total);
    const T mean = filigree::cuda::warp_sum(weighted) / total;
    with_sums_up_to(race, sums, [&](int k, uint32_t bits, T up_to) {
      sums[k] = soft(k, bits) * power / total * (up_to - mean);
    });
  }

  /// body(k, bits, C_k) of the lane's own k; it may change sums[k].
  template <class Body>
  __device__ void with_sums_up_to(const Race& race, const T* sums, Body body) const {
    T before = 0;  // of what earlier rounds had
    for (int first = 0; first < tables_.count; first += Race::kRound) {
      T mine = 0;
      race.each_own(first, [&](int k) { mine += sums[k]; });
      T up_to = before + warp_sum_before(mine);
      before += filigree::cuda::warp_sum(mine);
      race.round(first, [&](int k, uint32_t bits) {
        up_to += sums[k];
        body(k, bits, up_to);
      });
    }
  }

  const DrawTables& tables_;
  T* sums_;
};

/// Where the sums are, if shared memory has no room for them: (blocks, H, 64, K); else null. And
/// what the blocks give: (blocks, H, K).
template <class T>
struct SlopeMemory {
  T *sums, *parts;

  __device__ T* sums_of(const TilePlace& place, int heads, int count, T* shared) const {
    return sums ? sums + at(place, heads) * kTile * count : shared;
  }
  __device__ T* parts_of(const TilePlace& place, int heads, int count) const {
    return parts + at(place, heads) * count;
  }

 private:
  __device__ static int64_t at(const TilePlace& place, int heads) {
    return int64_t{place.block} * heads + place.head;
  }
};

/// For all dtypes. Shared memory: backward_shared_bytes().
template <class S>
__global__ void __launch_bounds__(kThreads)
    tile_reach_slopes(TilePass<S> pass, DrawTables tables,
                      SlopeMemory<filigree::cuda::Compute<S>> memory) {
  using T = filigree::cuda::Compute<S>;
  T* const queries = filigree::cuda::shared_memory<T>();
  T* const grads = queries + kTile * tile_stride(pass.dim);
  T* const keys = grads + kTile * tile_stride(pass.dim);
  T* const slopes = keys + kTile * tile_stride(pass.dim);
  const auto place = TilePlace::of<Walk::rows>(pass);
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);
  ReachSums<T> sums(
      tables, memory.sums_of(place, pass.heads, tables.count, slopes + kTile * tile_stride(kTile)));
  sums.clear();
  load_tile(pass.q + column, pass.stride, place.first, place.count, pass.dim, pass.scale, queries);
  load_tile(pass.grad + column, pass.width, place.first, place.count, pass.dim, T(1), grads);
  for (TileWalk<Walk::rows, S> walk(pass, place); walk.left(); walk.advance()) {
    const Tile& tile = walk.tile();
    const auto view = TileView<S>::template of<Walk::rows>(pass, place, tile);
    T s[kMine][kMine], dp[kMine][kMine];
    __syncthreads();
    load_tile(pass.k + column, pass.stride, tile.first, tile.count, pass.dim, T(1), keys);
    __syncthreads();
    tile_products(queries, keys, pass.dim, place.y, place.x, s);
    __syncthreads();
    load_tile(pass.v + column, pass.stride, tile.first, tile.count, pass.dim, T(1), keys);
    __syncthreads();
    tile_products(grads, keys, pass.dim, place.y, place.x, dp);
    for (int r = 0; r < kMine; ++r) {
      const int row = kMine * place.y + r;
      T lse, delta;
      query_statistics(view, row, lse, delta);
      for (int c = 0; c < kMine; ++c) {
        const int at = place.x + kLane * c;
        slopes[row * tile_stride(kTile) + at] =
            reach_slope(view, row, at, s[r][c], dp[r][c], lse, delta, dropout_key);
      }
    }
    __syncthreads();
    sums.add(view, slopes);
  }
  sums.weigh(place, memory.parts_of(place, pass.heads, tables.count));
}

/// The slopes of a warp's 16 queries and a tile's keys, from products on tensor cores, to (64, 65).
__device__ inline void store_slopes(const TileView<Half>& view, uint64_t dropout_key, int own,
                                    MmaLane lane, const float (&s)[kTile / 8][4],
                                    const float (&dp)[kTile / 8][4], float* slopes) {
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
        slopes[row * tile_stride(kTile) + at] = reach_slope(
            view, row, at, view.pass.scale * s[n][i], dp[n][i], lse, delta, dropout_key);
      }
    }
  }
}

/// Own operands, two, and two of each of two tiles, and the slopes.
inline int64_t tensor_slopes_shared_bytes(int width) {
  return tensor_backward_shared_bytes(width) + slopes_shared_bytes();
}

/// On tensor cores; a block of one warpgroup.
template <class Cores, int W>
__global__ void __launch_bounds__(kWarpgroup, W > 64 ? 1 : 2)
    tensor_reach_slopes(TilePass<Half> pass, DrawTables tables, SlopeMemory<float> memory) {
  constexpr int kTileElements = panels_elements(W);
  Half* const queries = filigree::cuda::shared_memory<Half>();
  Half* const grads = queries + kTileElements;
  Half* const tiles = grads + kTileElements;
  float* const slopes = reinterpret_cast<float*>(tiles + 4 * kTileElements);
  const auto place = TilePlace::of<Walk::rows>(pass);
  const MmaLane lane;
  const int own = static_cast<int>(threadIdx.x) / 32 * kMmaRows;
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = pass.key_of_head(place.head);
  ReachSums<float> sums(
      tables, memory.sums_of(place, pass.heads, tables.count, slopes + kTile * tile_stride(kTile)));
  TileStream<Cores, W, Walk::rows, true> stream(
      pass, place, head_rows<Cores>(pass, pass.k + column, pass.stride),
      head_rows<Cores>(pass, pass.v + column, pass.stride), tiles);
  start_stream<W>(stream, place, head_rows<Cores>(pass, pass.q + column, pass.stride), queries,
                  head_rows<Cores>(pass, pass.grad + column, pass.width), grads);
  sums.clear();
  while (stream.left()) {
    const Tile tile = stream.tile();
    const auto view = TileView<Half>::of<Walk::rows>(pass, place, tile);
    stream.wait();
    float s[8][4], dp[8][4];
    multiply_both<Cores, W>(Cores::at(queries), stream.first(), Cores::at(grads), stream.second(),
                            s, dp);
    store_slopes(view, dropout_key, own, lane, s, dp, slopes);
    __syncthreads();
    sums.add(view, slopes);
    __syncwarp();  // tensor cores want their warps together
    stream.done();
  }
  sums.weigh(place, memory.parts_of(place, pass.heads, tables.count));
}

}  // namespace filigree::kernels::cuda
