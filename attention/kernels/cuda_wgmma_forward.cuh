// The forward pass in bf16 on Hopper's tensor cores, by tiles. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_mma_forward.cuh"
#include "attention/kernels/cuda_wgmma.cuh"

namespace filigree::kernels::cuda {

/// What scores are: scaled products; the same, and tokens have drawn whom they see (DrawnPass); or
/// with bias or gate, drawn or not.
enum class Scores { plain, drawn, added };

/// Bits 0 .. count - 1.
__device__ inline uint64_t low_bits(int count) {
  return count <= 0 ? 0 : count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

/// Of query `row` of the tile, whose interval is [lo, hi): the keys that it sees.
template <bool Drawn>
__device__ uint64_t visible_keys(const TileView<Half>& view, int row, int lo, int hi) {
  if (row >= view.queries) return 0;
  if (view.mask >= 0) return view.tiles->masks[int64_t{view.mask} * kTile + row];
  const uint64_t there = low_bits(view.keys);
  if (view.mask == kFullTile) return there;
  uint64_t bits = low_bits(hi - view.key) & ~low_bits(lo - view.key);
  if (Drawn && view.mask == kDrawnTile) bits |= view.pass.drawn.always_columns[view.key_block];
  return there & bits;
}

/// The interval of a packed token: of its graph, or of what it has drawn.
template <bool Drawn>
__device__ void interval_of(const TilePass<Half>& pass, const TilePlace& place, int token, int& lo,
                            int& hi) {
  if (!Drawn || !pass.drawn.own) {
    lo = place.origin + place.tiles->lo[token - place.origin];
    hi = place.origin + place.tiles->hi[token - place.origin];
  } else if (pass.always[token]) {
    lo = 0;
    hi = static_cast<int>(pass.tokens);
  } else {
    const int own = pass.drawn.own[place.head * pass.tokens + token];
    lo = token - own;
    hi = token + own + 1;
  }
}

/// The intervals of a lane's two queries, rows own + g and own + g + 8 of the block.
template <bool Drawn>
class RowIntervals {
 public:
  __device__ RowIntervals(const TilePass<Half>& pass, const TilePlace& place, int own,
                          MmaLane lane) {
    for (int r = 0; r < 2; ++r) {
      const int row = own + lane.g + 8 * r;
      if (row < place.count) interval_of<Drawn>(pass, place, place.first + row, lo_[r], hi_[r]);
    }
  }
  /// Which keys of the tile the two see: bit 8 n + i is the lane's column 8 n + 2 t + i.
  __device__ void visible(const TileView<Half>& view, int own, MmaLane lane,
                          uint64_t (&bits)[2]) const {
    for (int r = 0; r < 2; ++r) {
      bits[r] = visible_keys<Drawn>(view, own + lane.g + 8 * r, lo_[r], hi_[r]) >> (2 * lane.t);
    }
  }

 private:
  int lo_[2] = {}, hi_[2] = {};
};

/// Of query `row` of the tile: which of its 64 keys dropout keeps, as TileView::factor() says,
/// those of every `parts`-th counter from `part` on. A counter is of four keys.
__device__ inline uint64_t kept_of_row(const TileView<Half>& view, uint64_t dropout_key, int row,
                                       int part, int parts) {
  uint64_t kept = 0;
  for (int block = view.key / 4 + part; 4 * block < view.key + kTile; block += parts) {
    const filigree::cuda::Bits bits = filigree::cuda::philox(
        dropout_key, static_cast<uint64_t>(view.query + row), static_cast<uint64_t>(block));
    for (int word = 0; word < 4; ++word) {
      const int column = 4 * block + word - view.key;
      if (column < 0 || column >= kTile || bits.word[word] >> 8 < view.pass.least) continue;
      kept |= uint64_t{1} << column;
    }
  }
  return kept;
}
/// Of a lane's two queries, as RowIntervals::visible() gives bits; the four lanes of a row share
/// the work.
__device__ inline void kept_keys(const TileView<Half>& view, uint64_t dropout_key, int own,
                                 MmaLane lane, uint64_t (&bits)[2]) {
  for (int r = 0; r < 2; ++r) {
    uint64_t kept = kept_of_row(view, dropout_key, own + lane.g + 8 * r, lane.t, 4);
    kept |= __shfl_xor_sync(~0U, kept, 1);
    kept |= __shfl_xor_sync(~0U, kept, 2);
    bits[r] = kept >> (2 * lane.t);
  }
}
/// The factor of dropout of the key at bit `at`.
__device__ inline float kept_factor(const TilePass<Half>& pass, uint64_t kept, int at) {
  return kept >> at & 1 ? pass.kept : 0.0F;
}

/// 2^x; 0 for -inf.
__device__ inline float exp2_fast(float x) {
#ifdef __CUDACC__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
#else
  return std::exp2(x);
#endif
}
inline constexpr float kLog2E = 1.44269504088896340736F;

/// The tiles of a block's row or column, of two tensors each: while one is worked on, the next is
/// fetched.
template <int W, Walk kWalk, bool Drawn>
class TileStream {
 public:
  /// memory: for four times 64 tokens.
  __device__ TileStream(const TilePass<Half>& pass, const TilePlace& place, HeadRows first,
                        HeadRows second, Half* memory)
      : walk_(pass, place), first_(first), second_(second), memory_(memory) {}
  __device__ bool left() const { return walk_.left(); }
  /// Fetches the first tile, in one batch with what was asked for before.
  __device__ void start() { fetch(0); }
  /// The tile that comes next; wait() makes it there.
  __device__ const Tile& tile() const { return walk_.tile(); }
  /// Fetches the tile after this one, and waits for this one, and for the block.
  __device__ void wait() {
    walk_.advance();
    if (left()) {
      fetch(stage_ ^ 1);
      fetch_wait<1>();
    } else {
      fetch_wait<0>();
    }
    __syncthreads();
  }
  __device__ Operand first() const { return operand_at(panels(stage_, 0)); }
  __device__ Operand second() const { return operand_at(panels(stage_, 1)); }
  /// Nobody needs the tile any more.
  __device__ void done() {
    __syncthreads();
    stage_ ^= 1;
  }

 private:
  __device__ Half* panels(int stage, int tensor) const {
    return memory_ + (2 * stage + tensor) * panels_elements(W);
  }
  __device__ void fetch(int stage) {
    fetch_panels<W>(first_, tile().first, tile().count, panels(stage, 0));
    fetch_panels<W>(second_, tile().first, tile().count, panels(stage, 1));
    fetch_batch();
  }

  TileWalk<kWalk, Half, Drawn> walk_;
  HeadRows first_, second_;
  Half* memory_;
  int stage_ = 0;
};

/// Bytes of shared memory: queries, and keys and values of two tiles.
inline int64_t wgmma_forward_shared_bytes(int width) {
  return int64_t{5} * panels_elements(width) * static_cast<int64_t>(sizeof(Half));
}

/// What mma_forward() does; a block of one warpgroup. W: elements of a head, filled up to panels.
/// While a tile is worked on, the next is fetched. The queries
/// stay in shared memory: in registers from tile to tile, nvcc 13.0 gave them away for the weights.
template <int W, bool Dropout, Scores kScores>
__global__ void __launch_bounds__(kWarpgroup, W == 64 && kScores != Scores::added ? 4 : 2)
    wgmma_forward(TilePass<Half> pass, Half* o, float* lse) {
  constexpr bool Scored = kScores == Scores::added, Drawn = kScores != Scores::plain;
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  constexpr int kTileElements = panels_elements(W);
  Half* const queries = filigree::cuda::shared_memory<Half>();
  Half* const tiles = queries + kTileElements;
  const auto place = TilePlace::of<Walk::rows>(pass);
  const MmaLane lane;
  const int own = static_cast<int>(threadIdx.x) / 32 * kMmaRows;  // the warp's first row
  const int64_t column = int64_t{place.head} * pass.dim;
  const uint64_t dropout_key = Dropout ? pass.key_of_head(place.head) : 0;

  const RowIntervals<Drawn> intervals(pass, place, own, lane);
  TileStream<W, Walk::rows, Drawn> stream(pass, place, {pass.k + column, pass.stride, pass.dim},
                                          {pass.v + column, pass.stride, pass.dim}, tiles);
  if (stream.left()) {  // else there is nothing to wait for
    fetch_panels<W>({pass.q + column, pass.stride, pass.dim}, place.first, place.count, queries);
    stream.start();
  }
  // Logarithms are of base 2 here; what bias and gate have been added to is one already.
  const float scale = Scored ? 1.0F : pass.scale * kLog2E;
  float out[W / 8][4] = {}, top[2] = {kNone, kNone}, sum[2] = {};
  while (stream.left()) {
    const Tile tile = stream.tile();
    const auto view = TileView<Half>::of<Walk::rows>(pass, place, tile);
    const bool whole = tile.mask == kFullTile && tile.count == kTile;
    uint64_t bits[2], kept[2] = {};
    intervals.visible(view, own, lane, bits);
    if (Dropout) kept_keys(view, dropout_key, own, lane, kept);
    stream.wait();
    const Operand keys = stream.first(), values = stream.second();
    float s[8][4] = {};
    hold(s);
    wgmma_begin();
    start_rows<W>(operand_at(queries), keys, s);
    wgmma_run();
    wgmma_wait();
    hold(s);
    if (!whole || Scored) {
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const bool seen = bits[i / 2] >> (8 * n + i % 2) & 1;
          if (!seen) {
            s[n][i] = kNone;
          } else if (Scored) {
            const int row = own + lane.g + i / 2 * 8, at = 8 * n + 2 * lane.t + i % 2;
            s[n][i] = kLog2E * view.score(row, at, pass.scale * s[n][i]);
          }
        }
      }
    }
    float highest[2] = {top[0], top[1]}, shrink[2], minus[2];
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        highest[i / 2] = s[n][i] > highest[i / 2] ? s[n][i] : highest[i / 2];
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      highest[r] = max_over_row(highest[r]);
      shrink[r] = top[r] == highest[r] ? 1.0F : exp2_fast((top[r] - highest[r]) * scale);
      top[r] = highest[r];
      minus[r] = top[r] == kNone ? 0.0F : -top[r] * scale;
      sum[r] *= shrink[r];
    }
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float weight = exp2_fast(std::fma(s[n][i], scale, minus[i / 2]));
        sum[i / 2] += weight;  // of the lane's columns; over the row at the end
        s[n][i] = weight;
        if (Dropout) s[n][i] *= kept_factor(pass, kept[i / 2], 8 * n + i % 2);
      }
    }
#pragma unroll
    for (int n = 0; n < W / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out[n][i] *= shrink[i / 2];
    }
    FragmentA weights[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) weights[k] = as_left(s, k);
    if (Scored) __syncwarp();  // wgmma wants its warps together
    hold(out);
    hold(weights);
    wgmma_begin();
    start_columns<W>(weights, values, out);
    wgmma_run();
    wgmma_wait();
    hold(weights);
    hold(out);
    stream.done();
  }
  const float natural = Scored ? 1.0F / kLog2E : pass.scale;
  FiniteProbe probe;
  for (int r = 0; r < 2; ++r) {
    const int row = own + lane.g + 8 * r;
    sum[r] = sum_over_row(sum[r]);
    if (row >= place.count) continue;
    const bool none = sum[r] == 0.0F;  // an empty row
    const float factor = none ? 0.0F : 1.0F / sum[r];
    const int64_t token = place.first + row;
    store_row<W>(out, r, factor, lane, pass.dim, probe, o + token * pass.width + column);
    if (lane.t == 0) {
      lse[token * pass.heads + place.head] = none ? kNone : top[r] * natural + std::log(sum[r]);
    }
  }
  probe.tell(pass.not_finite);
}

}  // namespace filigree::kernels::cuda
