// What the kernels on tensor cores share: what is visible and kept, as bits, and tiles on their
// way. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_panels.cuh"
#include "attention/kernels/cuda_tensor_kinds.cuh"
#include "attention/kernels/cuda_tile.cuh"

namespace filigree::kernels::cuda {

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
    uint32_t four = 0;
#pragma unroll
    for (int word = 0; word < 4; ++word) {
      four |= static_cast<uint32_t>(bits.word[word] >> 8 >= view.pass.least) << word;
    }
    const int column = 4 * block - view.key;  // from -3 on; what is not of the tile is shifted out
    kept |= column < 0 ? uint64_t{four >> -column} : uint64_t{four} << column;
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

/// What a head has in a tensor whose rows are `stride` apart, columns from `from` on.
template <class Cores>
__device__ HeadRows head_rows(const TilePass<Half>& pass, const Half* from, int64_t stride) {
  const bool aligned = Cores::kAligned || (pass.dim % 8 == 0 && stride % 8 == 0 &&
                                           reinterpret_cast<uintptr_t>(from) % sizeof(Eight) == 0);
  return {from, stride, pass.dim, aligned};
}
/// Whether rows that are stored there take two elements at a time.
template <class Cores>
__device__ bool is_paired(const TilePass<Half>& pass, const Half* to, int64_t stride) {
  return Cores::kAligned || (pass.dim % 2 == 0 && stride % 2 == 0 &&
                             reinterpret_cast<uintptr_t>(to) % (2 * sizeof(Half)) == 0);
}

/// The tiles of a block's row or column, of two tensors each: while one is worked on, the next is
/// fetched.
template <class Cores, int W, Walk kWalk, bool Drawn>
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
  __device__ typename Cores::Operand first() const { return Cores::at(panels(stage_, 0)); }
  __device__ typename Cores::Operand second() const { return Cores::at(panels(stage_, 1)); }
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

/// A block's own operands, `first` and `second` of its 64 tokens, and its first tile set out.
template <int W, class Stream>
__device__ void start_stream(Stream& stream, const TilePlace& place, const HeadRows& first,
                             Half* to_first, const HeadRows& second, Half* to_second) {
  if (!stream.left()) return;  // there is nothing to wait for
  fetch_panels<W>(first, place.first, place.count, to_first);
  fetch_panels<W>(second, place.first, place.count, to_second);
  stream.start();
}

/// s = a b^T and dp = c d^T, (64, 64) each, of panels (64, W): scores, and what weights are worth.
template <class Cores, int W>
__device__ void multiply_both(typename Cores::Operand a, typename Cores::Operand b,
                              typename Cores::Operand c, typename Cores::Operand d,
                              float (&s)[8][4], float (&dp)[8][4]) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) s[n][i] = dp[n][i] = 0;
  }
  Cores::hold(s);
  Cores::hold(dp);
  Cores::begin();
  Cores::template rows<W>(a, b, s);
  Cores::template rows<W>(c, d, dp);
  Cores::finish();
  Cores::hold(s);
  Cores::hold(dp);
}

}  // namespace filigree::kernels::cuda
