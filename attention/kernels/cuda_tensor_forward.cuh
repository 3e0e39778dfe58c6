// The forward pass in bf16 on tensor cores, by tiles. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_tensor.cuh"

namespace filigree::kernels::cuda {

/// Bytes of shared memory: queries, and keys and values of two tiles.
inline int64_t tensor_forward_shared_bytes(int width) {
  return int64_t{5} * panels_elements(width) * static_cast<int64_t>(sizeof(Half));
}

/// What tile_forward() does, where no result is NaN or Inf; else says so. A block of one warpgroup.
/// Cores: MmaCores or WgmmaCores. W: elements of a head, filled up. While a tile is worked on, the
/// next is fetched. The queries stay in shared memory: in registers from tile to tile, nvcc 13.0
/// gave them away for the weights.
template <class Cores, int W, bool Dropout, Scores kScores>
__global__ void __launch_bounds__(kWarpgroup, Cores::blocks(Part::forward, W, kScores))
    tensor_forward(TilePass<Half> pass, Half* o, float* lse) {
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
  TileStream<Cores, W, Walk::rows, Drawn> stream(
      pass, place, head_rows<Cores>(pass, pass.k + column, pass.stride),
      head_rows<Cores>(pass, pass.v + column, pass.stride), tiles);
  if (stream.left()) {  // else there is nothing to wait for
    fetch_panels<W>(head_rows<Cores>(pass, pass.q + column, pass.stride), place.first, place.count,
                    queries);
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
    const typename Cores::Operand keys = stream.first(), values = stream.second();
    float s[8][4] = {};
    Cores::hold(s);
    Cores::begin();
    Cores::template rows<W>(Cores::at(queries), keys, s);
    Cores::finish();
    Cores::hold(s);
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
    if (Scored) __syncwarp();  // tensor cores want their warps together
    Cores::hold(out);
    Cores::hold(weights);
    Cores::begin();
    Cores::template columns<W>(weights, values, out);
    Cores::finish();
    Cores::hold(weights);
    Cores::hold(out);
    stream.done();
  }
  const float natural = Scored ? 1.0F / kLog2E : pass.scale;
  const bool paired = is_paired<Cores>(pass, o + column, pass.width);
  FiniteProbe probe;
  for (int r = 0; r < 2; ++r) {
    const int row = own + lane.g + 8 * r;
    sum[r] = sum_over_row(sum[r]);
    if (row >= place.count) continue;
    const bool none = sum[r] == 0.0F;  // an empty row
    const float factor = none ? 0.0F : 1.0F / sum[r];
    const int64_t token = place.first + row;
    store_row<W>(out, r, factor, lane, pass.dim, paired, probe, o + token * pass.width + column);
    if (lane.t == 0) {
      lse[token * pass.heads + place.head] = none ? kNone : top[r] * natural + std::log(sum[r]);
    }
  }
  probe.tell(pass.not_finite);
}

}  // namespace filigree::kernels::cuda
