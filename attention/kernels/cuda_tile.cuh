// What the CUDA tile kernels share: a pass's pointers, a block's place, tiles in shared memory,
// scores and what is visible. For .cu files alone.
//
// A block of 256 threads has 64 queries of one head (the forward pass, dq) or 64 keys (dk, dv), and
// walks over the tiles of its row or column in order, so that sums have a fixed order and nothing
// needs atomics. Thread (y, x) = (t / 16, t % 16) has the scores of queries 4 y .. 4 y + 3 and keys
// x, x + 16, x + 32, x + 48.
#pragma once

#include <cmath>
#include <limits>

#include "attention/kernels/cuda_pass.cuh"
#include "attention/kernels/device_graph.h"
#include "core/cuda/element.cuh"
#include "core/cuda/notice.cuh"
#include "core/cuda/random.cuh"
#include "core/cuda/shared_memory.cuh"

namespace filigree::kernels::cuda {

inline constexpr int kThreads = 256, kLane = 16,
                     kMine = 4;  // kMine queries and kMine keys a thread
inline constexpr int kTile = static_cast<int>(kTileRows);
/// Largest s_ij - lse_i of a closed edge, as on the CPU (gate.h).
inline constexpr int kClosedExponentOnDevice = 30;

using filigree::cuda::load;

/// The reaches that tokens have drawn (drawn_attention.h), of tiles that are kDrawnTile.
struct DrawnPass {
  const int32_t* own;              // (H, T): reach of every query; null where nothing is drawn
  const int32_t* furthest;         // (H, NB): the largest of a block
  const uint64_t* always_columns;  // (NB): see DrawnGraph; null to leave out what is always on
  int32_t margin;                  // what lies so far beyond a reach is looked at, too
};

/// One pass over a batch, tile by tile.
template <class S>
struct TilePass : AttentionPass<S> {
  using T = filigree::cuda::Compute<S>;
  const S* bias;
  const T* log_gate;
  const uint8_t* always;           // (tokens), of a gate and of what is drawn; null for none
  int64_t bias_reach, gate_reach;  // -1: none
  /// Where tensor cores do the work, what is not seen has weight 0, and 0 times NaN is NaN: they
  /// leave word where a result was NaN or Inf. Then the kernels of cuda_tile, which never look at
  /// what is not seen, do it again. None: they do it all.
  filigree::cuda::Notice not_finite;
  // the graph: see DeviceBatch
  const BlockPlace* places;
  const int32_t *ends, *group_of_head;
  const DeviceTiles* sequences;
  int64_t blocks, sequence_count;
  DrawnPass drawn;

  void take(const DeviceTileBatch& graph) {
    places = graph.places;
    ends = graph.ends;
    group_of_head = graph.group_of_head;
    sequences = graph.sequences;
    blocks = graph.blocks;
    sequence_count = graph.sequence_count;
  }
  void take_bias(const Tensor& table, int64_t reach) {
    bias = table.defined() ? table.data<S>() : nullptr;
    bias_reach = reach;
  }
};

/// What a block has 64 of, and walks along.
enum class Walk { rows, columns };

/// False where tensor cores have done the pass.
template <class S>
__device__ bool is_left_over(const TilePass<S>& pass) {
  return !pass.not_finite.at || pass.not_finite.is_left();
}

/// body(block, head) for all of a pass, shared out among the blocks of threads.
template <class S, class Body>
__device__ void for_blocks(const TilePass<S>& pass, Body body) {
  const int64_t count = pass.blocks * pass.heads;
  for (int64_t at = blockIdx.x; at < count; at += gridDim.x) {
    body(static_cast<int>(at % pass.blocks), static_cast<int>(at / pass.blocks));
    __syncthreads();  // shared memory is free again
  }
}

/// Where a block of threads is: its head, its own 64 tokens, its sequence, its tiles.
struct TilePlace {
  int head, block, first, count;
  int origin, end;           // packed tokens of the sequence
  int begin, stop;           // of the block's entries
  const DeviceTiles* tiles;  // of the sequence
  const SequenceTiles::Entry* entries;
  int x, y;

  /// W: rows for a block of queries, columns for one of keys.
  template <Walk W, class S>
  __device__ static TilePlace of(const TilePass<S>& pass, int block, int head) {
    TilePlace place;
    const BlockPlace own = pass.places[block];
    place.head = head;
    place.block = block;
    place.first = own.first;
    place.count = own.count;
    place.origin = own.first - kTile * own.block;
    place.end = pass.ends[own.sequence];
    place.tiles =
        pass.sequences + pass.group_of_head[place.head] * pass.sequence_count + own.sequence;
    const int64_t* bounds = W == Walk::rows ? place.tiles->row_bounds : place.tiles->column_bounds;
    place.begin = static_cast<int>(bounds[own.block]);
    place.stop = static_cast<int>(bounds[own.block + 1]);
    place.entries = W == Walk::rows ? place.tiles->rows : place.tiles->columns;
    place.x = static_cast<int>(threadIdx.x) % kLane;
    place.y = static_cast<int>(threadIdx.x) / kLane;
    return place;
  }
  /// Where the grid has the pass's blocks and heads.
  template <Walk W, class S>
  __device__ static TilePlace of(const TilePass<S>& pass) {
    return of<W>(pass, static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y));
  }
};

/// One tile of a block's row or column.
struct Tile {
  int first, count;  // packed tokens of the other side's block
  int mask;          // as in SequenceTiles, or kDrawnTile
  int block;         // the other side's, of all
};

/// False for a tile in which nothing that was drawn is seen.
template <Walk W, class S>
__device__ bool is_needed(const TilePass<S>& pass, const TilePlace& place, const Tile& tile) {
  if (tile.mask != kDrawnTile) return true;
  const DrawnPass& drawn = pass.drawn;
  if (drawn.always_columns &&
      (drawn.always_columns[place.block] | drawn.always_columns[tile.block]) != 0) {
    return true;
  }
  const int after = tile.first - (place.first + place.count - 1);
  const int before = place.first - (tile.first + tile.count - 1);
  const int queries = W == Walk::rows ? place.block : tile.block;
  return (after > before ? after : before) <=
         drawn.furthest[place.head * pass.blocks + queries] + drawn.margin;
}

/// The tiles of a block's row or column, in order. Not Drawn: none of them is a drawn one; else the
/// lanes of a warp look at 32 at a time, so that passing over tiles costs little.
template <Walk W, class S, bool Drawn = true>
class TileWalk {
 public:
  /// By whole warps, like advance().
  __device__ TileWalk(const TilePass<S>& pass, const TilePlace& place)
      : pass_(pass), place_(place), at_(place.begin), looked_(place.begin) {
    find();
  }
  __device__ bool left() const { return at_ < place_.stop; }
  __device__ const Tile& tile() const { return tile_; }
  __device__ void advance() {
    ++at_;
    find();
  }

 private:
  static constexpr int kAtOnce = 32;

  __device__ Tile tile_at(int at) const {
    const SequenceTiles::Entry entry = place_.entries[at];
    Tile tile;
    tile.first = place_.origin + kTile * entry.block;
    tile.count = place_.end - tile.first < kTile ? place_.end - tile.first : kTile;
    tile.mask = entry.mask;
    tile.block = place_.block + (tile.first - place_.first) / kTile;
    return tile;
  }
  __device__ void find() {
    if (Drawn) {
      while (needed_ == 0 && looked_ < place_.stop) {
        const int mine = looked_ + static_cast<int>(threadIdx.x) % kAtOnce;
        const bool needed = mine < place_.stop && is_needed<W>(pass_, place_, tile_at(mine));
        needed_ = __ballot_sync(~0U, needed);
        looked_ += kAtOnce;
      }
      at_ = needed_ == 0 ? place_.stop : looked_ - kAtOnce + __ffs(static_cast<int>(needed_)) - 1;
      needed_ &= needed_ - 1;
    }
    if (left()) tile_ = tile_at(at_);
  }

  const TilePass<S>& pass_;
  const TilePlace& place_;
  int at_, looked_;      // looked_: the first that nobody has looked at
  uint32_t needed_ = 0;  // of the 32 before it, those that are to come
  Tile tile_{};
};

/// Elements from one row of a tile in shared memory to the next; odd, so that 16 rows lie in
/// different banks.
__device__ __host__ inline int tile_stride(int dim) { return dim + 1; }

/// Tokens first .. first + count - 1 of one head into shared memory, times `factor`; the other rows
/// of the tile become 0.
template <class S, class T>
__device__ void load_tile(const S* from, int64_t stride, int first, int count, int dim, T factor,
                          T* to) {
  const int row_stride = tile_stride(dim);
  for (int e = static_cast<int>(threadIdx.x); e < kTile * dim; e += kThreads) {
    const int row = e / dim, d = e % dim;
    to[row * row_stride + d] = row < count ? factor * load(from[(first + row) * stride + d]) : T(0);
  }
}

/// s[r][c] = <a of row 4 y + r, b of row x + 16 c>.
template <class T>
__device__ void tile_products(const T* a, const T* b, int dim, int y, int x, T (&s)[kMine][kMine]) {
  const int row_stride = tile_stride(dim);
  for (int r = 0; r < kMine; ++r) {
    for (int c = 0; c < kMine; ++c) s[r][c] = 0;
  }
  for (int d = 0; d < dim; ++d) {
    T left[kMine], right[kMine];
    for (int r = 0; r < kMine; ++r) left[r] = a[(kMine * y + r) * row_stride + d];
    for (int c = 0; c < kMine; ++c) right[c] = b[(x + kLane * c) * row_stride + d];
    for (int r = 0; r < kMine; ++r) {
      for (int c = 0; c < kMine; ++c) s[r][c] += left[r] * right[c];
    }
  }
}

/// sums[r][c] += sum over the tile's rows p of weight(p, 4 y + r) times b at (p, x + 16 c). What
/// has no weight is not looked at: there NaN and Inf may stand.
template <class T, int C, class Weight>
__device__ void add_weighted_rows(Weight weight, const T* b, int dim, int y, int x,
                                  T (&sums)[kMine][C]) {
  const int row_stride = tile_stride(dim);
  for (int p = 0; p < kTile; ++p) {
    T w[kMine];
    for (int r = 0; r < kMine; ++r) w[r] = weight(p, kMine * y + r);
    for (int c = 0; c < C; ++c) {
      const int d = x + kLane * c;
      if (d >= dim) break;
      const T value = b[p * row_stride + d];
      for (int r = 0; r < kMine; ++r) {
        if (w[r] != T(0)) sums[r][c] += w[r] * value;
      }
    }
  }
}

/// One tile of queries and keys, and what of it is visible and gated.
template <class S>
struct TileView {
  using T = filigree::cuda::Compute<S>;
  const TilePass<S>& pass;
  const DeviceTiles* tiles;
  int head, origin;                     // the sequence's first packed token
  int query, queries, key, keys, mask;  // first packed tokens and counts
  int block, key_block;                 // of all: the block's own, and that of the keys

  /// The tile of a block of queries, or of keys.
  template <Walk W>
  __device__ static TileView of(const TilePass<S>& pass, const TilePlace& place, const Tile& tile) {
    TileView view{pass, place.tiles, place.head, place.origin, 0, 0,
                  0,    0,           tile.mask,  place.block,  0};
    const bool rows = W == Walk::rows;
    view.query = rows ? place.first : tile.first;
    view.queries = rows ? place.count : tile.count;
    view.key = rows ? tile.first : place.first;
    view.keys = rows ? tile.count : place.count;
    view.key_block = rows ? tile.block : place.block;
    return view;
  }

  __device__ bool visible(int row, int column) const {
    if (row >= queries || column >= keys) return false;
    if (mask == kFullTile) return true;
    if (mask == kDrawnTile) return is_always_on(row, column) || is_within(row, column, 0);
    if (mask == kIntervalTile) {
      const int at = query + row - origin, j = key + column - origin;
      return j >= tiles->lo[at] && j < tiles->hi[at];
    }
    return tiles->masks[int64_t{mask} * kTile + row] >> column & 1;
  }
  /// j - i.
  __device__ int64_t distance(int row, int column) const {
    return int64_t{key + column} - (query + row);
  }
  /// True for i = j, and in the rows and columns that are always on.
  __device__ bool is_always_on(int row, int column) const {
    if (distance(row, column) == 0) return true;
    return pass.always && (pass.always[query + row] || pass.always[key + column]);
  }
  /// True if the gate has a say.
  __device__ bool gated(int row, int column) const {
    return pass.log_gate && !is_always_on(row, column);
  }
  /// Whether key j is at most so far beyond what query i has drawn.
  __device__ bool is_within(int row, int column, int margin) const {
    const int64_t d = distance(row, column);
    return (d < 0 ? -d : d) <= pass.drawn.own[head * pass.tokens + query + row] + margin;
  }
  __device__ T log_gate(int64_t distance) const {
    const int64_t d = distance < 0 ? -distance : distance;
    return d <= pass.gate_reach ? pass.log_gate[head * (pass.gate_reach + 1) + d]
                                : -std::numeric_limits<T>::infinity();
  }
  /// log m_ij; -inf where the gate is closed.
  __device__ T gate_of(int row, int column) const {
    return gated(row, column) ? log_gate(distance(row, column)) : T(0);
  }
  __device__ T bias_of(int row, int column) const {
    const int64_t d = distance(row, column);
    return pass.bias && d >= -pass.bias_reach && d <= pass.bias_reach
               ? load(pass.bias[head * (2 * pass.bias_reach + 1) + pass.bias_reach + d])
               : T(0);
  }
  /// s_ij of a visible pair from scale <q_i, k_j>, its gate in; -inf where that is closed, whatever
  /// the product is.
  __device__ T score(int row, int column, T product) const {
    const T gate = gate_of(row, column);
    return gate == -std::numeric_limits<T>::infinity() ? gate
                                                       : product + bias_of(row, column) + gate;
  }
  /// The factor of dropout, keyed by the packed tokens i and j.
  __device__ T factor(uint64_t dropout_key, int row, int column) const {
    return pass.factor(dropout_key, query + row, key + column);
  }
};

}  // namespace filigree::kernels::cuda
