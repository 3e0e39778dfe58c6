// Attention edge by edge, for graphs whose tiles would be nearly empty: a warp has one query (the
// forward pass, dq) or one key (dk, dv) of a head and walks over its edges in order, several at a
// time. For .cu files alone.
#pragma once

#include <cmath>
#include <limits>

#include "attention/kernels/cuda_pass.cuh"
#include "attention/kernels/device_graph.h"
#include "core/cuda/pack.cuh"
#include "core/cuda/rows.cuh"

namespace filigree::kernels::cuda {

using filigree::cuda::kWarp;

/// One pass over a batch, edge by edge.
template <class S>
struct EdgePass : AttentionPass<S> {
  // the graph: see DeviceBatch
  const BlockPlace* places;
  const int32_t* group_of_head;
  const DeviceEdges* sequences;
  int64_t blocks, sequence_count;
};

inline constexpr int kEdgeWarps = static_cast<int>(kEdgeTokens);  // of a block, a token each

/// What a warp walks along: the keys of its query, or the queries of its key.
enum class Along { row, column };

/// Where a warp is: its head, its token, its edges. L lanes share an edge, each has P packs of N of
/// the head's elements; 32 / L edges are worked on at once.
template <class S, int N, int L, int P>
struct EdgePlace {
  using T = filigree::cuda::Compute<S>;
  using Part = T[P][N];
  static constexpr int kAtOnce = kWarp / L;
  const EdgePass<S>& pass;
  const int32_t* others;  // of an edge: the token at its other side, from the sequence's first
  int head, lane;
  int64_t token;   // packed; -1: none is left for the warp
  int64_t origin;  // packed token that the sequence begins with
  int64_t begin, end;

  __device__ EdgePlace(const EdgePass<S>& p, Along along)
      : pass(p),
        others(nullptr),
        head(static_cast<int>(blockIdx.y)),
        lane(static_cast<int>(threadIdx.x) % kWarp),
        token(-1),
        origin(0),
        begin(0),
        end(0) {
    const BlockPlace place = pass.places[blockIdx.x];
    const int at = static_cast<int>(threadIdx.x) / kWarp;
    if (at >= place.count) return;
    const DeviceEdges& edges =
        pass.sequences[pass.group_of_head[head] * pass.sequence_count + place.sequence];
    const int64_t own = int64_t{place.block} * kEdgeTokens + at;
    const int64_t* bounds = (along == Along::row ? edges.row_bounds : edges.column_bounds) + own;
    others = along == Along::row ? edges.columns : edges.rows;
    token = place.first + at;
    origin = token - own;
    begin = bounds[0];
    end = bounds[1];
  }
  __device__ int element(int p) const { return N * (lane % L + p * L); }

  /// The lane's part of a token's row of a head; 0 where there is none.
  __device__ void load_part(const S* from, int64_t at, int64_t stride, Part& part) const {
#pragma unroll
    for (int p = 0; p < P; ++p) {
      const int d = element(p);
#pragma unroll
      for (int i = 0; i < N; ++i) part[p][i] = T(0);
      if (d >= pass.dim) continue;
      const auto values =
          filigree::cuda::load_pack<S, N>(from + at * stride + int64_t{head} * pass.dim + d);
#pragma unroll
      for (int i = 0; i < N; ++i) part[p][i] = filigree::cuda::load(values.of[i]);
    }
  }
  __device__ void store_part(const Part& part, T factor, int64_t stride, S* to) const {
    if (lane >= L) return;
#pragma unroll
    for (int p = 0; p < P; ++p) {
      const int d = element(p);
      if (d >= pass.dim) continue;
      filigree::cuda::Pack<S, N> values;
#pragma unroll
      for (int i = 0; i < N; ++i) values.of[i] = convert<S>(factor * part[p][i]);
      filigree::cuda::store_pack(values, to + token * stride + int64_t{head} * pass.dim + d);
    }
  }
  /// <a, b>, in all lanes of the edge; the whole warp calls.
  __device__ T dot(const Part& a, const Part& b) const {
    T sum = 0;
#pragma unroll
    for (int p = 0; p < P; ++p) {
#pragma unroll
      for (int i = 0; i < N; ++i) sum += a[p][i] * b[p][i];
    }
#pragma unroll
    for (int step = L / 2; step > 0; step /= 2) sum += __shfl_xor_sync(~0U, sum, step);
    return sum;
  }
  /// Over the edges that were worked on at once; all lanes get it.
  __device__ void add_up(Part& part) const {
#pragma unroll
    for (int p = 0; p < P; ++p) {
#pragma unroll
      for (int i = 0; i < N; ++i) {
#pragma unroll
        for (int step = L; step < kWarp; step *= 2) {
          part[p][i] += __shfl_xor_sync(~0U, part[p][i], step);
        }
      }
    }
  }
  __device__ static void add(Part& sum, T factor, const Part& part) {
#pragma unroll
    for (int p = 0; p < P; ++p) {
#pragma unroll
      for (int i = 0; i < N; ++i) sum[p][i] += factor * part[p][i];
    }
  }
};

/// body(other, there) with the token of this lane's edge, `there` false where the list has ended;
/// the whole warp together, as often as its longest lane needs.
template <class Place, class Body>
__device__ void for_edges(const Place& place, Body body) {
  for (int64_t first = place.begin; first < place.end; first += Place::kAtOnce) {
    const int64_t e = first + place.lane / (kWarp / Place::kAtOnce);
    const bool there = e < place.end;
    body(there ? place.origin + place.others[e] : int64_t{0}, there);
  }
}

template <class S, int N, int L, int P>
__global__ void __launch_bounds__(kEdgeWarps* kWarp)
    edges_forward(EdgePass<S> pass, S* o, filigree::cuda::Compute<S>* lse) {
  using Place = EdgePlace<S, N, L, P>;
  using T = typename Place::T;
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  const Place place(pass, Along::row);
  const int64_t token = place.token;
  if (token < 0) return;
  const uint64_t key = pass.key_of_head(place.head);
  typename Place::Part query, out = {};
  place.load_part(pass.q, token, pass.stride, query);
  T top = kNone, sum = 0;
  const auto rescale = [&](T higher) {
    const T shrink = top == higher ? T(1) : std::exp(top - higher);
    top = higher;
    sum *= shrink;
#pragma unroll
    for (int p = 0; p < P; ++p) {
#pragma unroll
      for (int i = 0; i < N; ++i) out[p][i] *= shrink;
    }
  };
  for_edges(place, [&](int64_t j, bool there) {
    typename Place::Part part = {};
    if (there) place.load_part(pass.k, j, pass.stride, part);
    const T product = place.dot(query, part);
    if (!there) return;
    const T score = pass.scale * product;
    rescale(score > top ? score : top);
    const T weight = score == kNone ? T(0) : std::exp(score - top);
    sum += weight;
    if (weight == T(0)) return;
    place.load_part(pass.v, j, pass.stride, part);
    Place::add(out, weight * pass.factor(key, token, j), part);
  });
#pragma unroll
  for (int step = L; step < kWarp; step *= 2) {
    const T other = __shfl_xor_sync(~0U, top, step);
    rescale(other > top ? other : top);
    sum += __shfl_xor_sync(~0U, sum, step);
#pragma unroll
    for (int p = 0; p < P; ++p) {
#pragma unroll
      for (int i = 0; i < N; ++i) out[p][i] += __shfl_xor_sync(~0U, out[p][i], step);
    }
  }
  const bool none = sum == T(0);  // an empty row
  place.store_part(out, none ? T(0) : T(1) / sum, pass.width, o);
  if (place.lane == 0) lse[token * pass.heads + place.head] = none ? kNone : top + std::log(sum);
}

/// Of one pair: the weight times dropout's factor, and dL/ds_ij.
template <class T>
struct EdgeSlope {
  T passed = 0, slope = 0;
};
template <class Place, class T>
__device__ EdgeSlope<T> edge_slope(const Place& place, uint64_t key, int64_t query, int64_t at,
                                   T product, T dp) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  const int64_t row = query * place.pass.heads + place.head;
  const T lse = place.pass.lse[row], score = place.pass.scale * product;
  if (lse == kNone || score == kNone) return {};
  const T weight = std::exp(score - lse);
  if (weight == T(0)) return {};
  const T factor = place.pass.factor(key, query, at);
  return {weight * factor, weight * (factor * dp - place.pass.delta[row])};
}

template <class S, int N, int L, int P>
__global__ void __launch_bounds__(kEdgeWarps* kWarp) edges_backward_rows(EdgePass<S> pass, S* dq) {
  using Place = EdgePlace<S, N, L, P>;
  using T = typename Place::T;
  const Place place(pass, Along::row);
  const int64_t token = place.token;
  if (token < 0) return;
  const uint64_t key = pass.key_of_head(place.head);
  typename Place::Part query, grad, sums = {};
  place.load_part(pass.q, token, pass.stride, query);
  place.load_part(pass.grad, token, pass.width, grad);
  for_edges(place, [&](int64_t j, bool there) {
    typename Place::Part keys = {}, values = {};
    if (there) {
      place.load_part(pass.k, j, pass.stride, keys);
      place.load_part(pass.v, j, pass.stride, values);
    }
    const T product = place.dot(query, keys), dp = place.dot(grad, values);
    if (!there) return;
    const EdgeSlope<T> pair = edge_slope(place, key, token, j, product, dp);
    if (pair.slope != T(0)) Place::add(sums, pair.slope, keys);
  });
  place.add_up(sums);
  place.store_part(sums, pass.scale, pass.stride, dq);
}

template <class S, int N, int L, int P>
__global__ void __launch_bounds__(kEdgeWarps* kWarp)
    edges_backward_columns(EdgePass<S> pass, S* dk, S* dv) {
  using Place = EdgePlace<S, N, L, P>;
  using T = typename Place::T;
  const Place place(pass, Along::column);
  const int64_t token = place.token;
  if (token < 0) return;
  const uint64_t key = pass.key_of_head(place.head);
  typename Place::Part own_key, own_value, key_sums = {}, value_sums = {};
  place.load_part(pass.k, token, pass.stride, own_key);
  place.load_part(pass.v, token, pass.stride, own_value);
  for_edges(place, [&](int64_t i, bool there) {
    typename Place::Part queries = {}, grads = {};
    if (there) {
      place.load_part(pass.q, i, pass.stride, queries);
      place.load_part(pass.grad, i, pass.width, grads);
    }
    const T product = place.dot(queries, own_key), dp = place.dot(grads, own_value);
    if (!there) return;
    const EdgeSlope<T> pair = edge_slope(place, key, i, token, product, dp);
    if (pair.passed != T(0)) Place::add(value_sums, pair.passed, grads);
    if (pair.slope != T(0)) Place::add(key_sums, pair.slope, queries);
  });
  place.add_up(key_sums);
  place.add_up(value_sums);
  place.store_part(key_sums, pass.scale, pass.stride, dk);
  place.store_part(value_sums, T(1), pass.stride, dv);
}

}  // namespace filigree::kernels::cuda
