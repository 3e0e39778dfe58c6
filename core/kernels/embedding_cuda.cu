#include <algorithm>
#include <bit>
#include <climits>
#include <cub/cub.cuh>

#include "core/cuda/held_row.cuh"
#include "core/cuda/map.cuh"
#include "core/error.h"
#include "core/kernels/embedding.h"

namespace filigree::kernels::cuda {

namespace {

constexpr int64_t kPiece = 64;  // rows that one block adds up
constexpr int64_t kMostThreads = 256;

using filigree::cuda::Compute;
using filigree::cuda::load_values;
using filigree::cuda::store_values;

/// N elements of a row a call.
template <class S, int N>
struct Gather {
  const S* weight;
  const int32_t* ids;
  S* y;
  int64_t width;
  __device__ void operator()(int64_t p) const {
    const int64_t packs = width / N, row = p / packs, column = N * (p % packs);
    const auto found = filigree::cuda::load_pack<S, N>(weight + ids[row] * width + column);
    filigree::cuda::store_pack(found, y + N * p);
  }
};

/// The other way.
template <class S, int N>
struct Scatter {
  const S* x;
  const int32_t* ids;
  S* y;
  int64_t width;
  __device__ void operator()(int64_t p) const {
    const int64_t packs = width / N, row = p / packs, column = N * (p % packs);
    const auto given = filigree::cuda::load_pack<S, N>(x + N * p);
    filigree::cuda::store_pack(given, y + ids[row] * width + column);
  }
};

struct Count {
  int32_t* to;
  __device__ void operator()(int64_t i) const { to[i] = static_cast<int32_t>(i); }
};

/// The rows of dy sorted by id, equal ids in order of t: key[p] is the id, row[p] is t. They are
/// added up in pieces, which begin where an id does and at every multiple of kPiece.
struct Sorted {
  const int32_t *key, *row;
  int64_t count;

  __device__ bool begins_id(int64_t p) const { return p == 0 || key[p] != key[p - 1]; }
  __device__ bool begins_piece(int64_t p) const { return p % kPiece == 0 || begins_id(p); }
  /// Where the piece at p ends at the latest.
  __device__ int64_t piece_limit(int64_t p) const {
    const int64_t next = (p / kPiece + 1) * kPiece;
    return next < count ? next : count;
  }
  /// The first position after p with another id; `limit` if there is none before it.
  __device__ int64_t end_of(int64_t p, int64_t limit) const {
    const int32_t id = key[p];
    int64_t same = p;
    while (limit - same > 1) {
      const int64_t middle = same + (limit - same) / 2;
      (key[middle] == id ? same : limit) = middle;
    }
    return limit;
  }
};

/// What a block needs to add up rows, N columns a thread.
template <class S, int N>
struct Rows {
  using T = Compute<S>;
  int64_t width;
  const S* dy;
  T* sums;     // (count, width): of a piece, in the row of its first position
  S* dweight;  // (V, width)

  /// body(column) for the columns of the calling thread.
  template <class Body>
  __device__ void each_column(Body body) const {
    for (int64_t j = int64_t{N} * threadIdx.x; j < width; j += int64_t{N} * blockDim.x) body(j);
  }
};

template <class T, int N>
__device__ void add_values(const T (&more)[N], T (&total)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) total[i] += more[i];
}

/// Of the piece that begins at p: into dweight where it is all of its id, else into sums. A block a
/// position.
template <class S, int N>
__global__ void sum_pieces(Sorted sorted, Rows<S, N> rows) {
  const int64_t p = blockIdx.x;
  if (!sorted.begins_piece(p)) return;
  const int64_t id = sorted.key[p], limit = sorted.piece_limit(p), end = sorted.end_of(p, limit);
  const bool whole =
      sorted.begins_id(p) && (end < limit || end == sorted.count || sorted.key[end] != id);
  rows.each_column([&](int64_t j) {
    Compute<S> total[N] = {}, more[N];
#pragma unroll 4
    for (int64_t q = p; q < end; ++q) {
      load_values<S, N>(rows.dy + sorted.row[q] * rows.width + j, more);
      add_values(more, total);
    }
    if (whole) {
      store_values<S, N>(total, rows.dweight + id * rows.width + j);
    } else {
      store_values<Compute<S>, N>(total, rows.sums + p * rows.width + j);
    }
  });
}

/// dweight of the id that begins at p and has more pieces than one: those in order.
template <class S, int N>
__global__ void sum_ids(Sorted sorted, Rows<S, N> rows) {
  const int64_t p = blockIdx.x;
  if (!sorted.begins_id(p)) return;
  const int64_t id = sorted.key[p], second = sorted.piece_limit(p);
  if (second == sorted.count || sorted.key[second] != id) return;
  const int64_t end = sorted.end_of(second, sorted.count);
  rows.each_column([&](int64_t j) {
    Compute<S> total[N], more[N];
    load_values<Compute<S>, N>(rows.sums + p * rows.width + j, total);
#pragma unroll 4
    for (int64_t q = second; q < end; q += kPiece) {
      load_values<Compute<S>, N>(rows.sums + q * rows.width + j, more);
      add_values(more, total);
    }
    store_values<S, N>(total, rows.dweight + id * rows.width + j);
  });
}

/// Sorts (id, t) by id < `count`, stably.
void sort_ids(const Tensor& ids, int64_t count, Tensor& keys, Tensor& rows) {
  const int bits = std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(count - 1))));
  const filigree::cuda::Context& context = filigree::cuda::context_of(ids.device());
  Tensor places(ids.shape(), DType::i32, ids.device());
  filigree::cuda::for_each("embedding", ids, ids.numel(), Count{places.data<int32_t>()});
  const auto sort = [&](void* scratch, size_t& bytes) {
    filigree::cuda::check(
        cub::DeviceRadixSort::SortPairs(scratch, bytes, ids.data<int32_t>(), keys.data<int32_t>(),
                                        std::as_const(places).data<int32_t>(), rows.data<int32_t>(),
                                        static_cast<int>(ids.numel()), 0, bits, context.stream()),
        "embedding", "cub::DeviceRadixSort");
  };
  size_t bytes = 0;
  sort(nullptr, bytes);
  Tensor scratch({static_cast<int64_t>(bytes)}, DType::u8, ids.device());
  sort(scratch.raw(), bytes);
}

}  // namespace

void embedding_forward(const Tensor& weight, const Tensor& ids, Tensor& y) {
  filigree::cuda::dispatch_stored("embedding", weight.dtype(), [&]<class S>() {
    const S* from = weight.data<S>();
    S* to = y.data<S>();
    const int64_t width = weight.size(1);
    const auto call = [&]<int N>() {
      filigree::cuda::for_each("embedding", y, y.numel() / N,
                               Gather<S, N>{from, ids.data<int32_t>(), to, width});
    };
    filigree::cuda::with_pack<S>(width, call, from, to);
  });
}

void embedding_backward(const Tensor& dy, const Tensor& ids, Tensor& dweight) {
  dweight.fill(0);
  const int64_t count = ids.numel(), width = dweight.size(1);
  if (count == 0 || width == 0) return;
  if (count > INT_MAX) throw ShapeError("embedding", "more than 2^31 - 1 tokens");
  Tensor keys({count}, DType::i32, dy.device()), rows({count}, DType::i32, dy.device());
  sort_ids(ids, dweight.size(0), keys, rows);
  const Sorted sorted{std::as_const(keys).data<int32_t>(), std::as_const(rows).data<int32_t>(),
                      count};
  filigree::cuda::dispatch_stored("embedding", dy.dtype(), [&]<class S>() {
    using T = Compute<S>;
    Tensor sums({count, width}, dtype_of<T>, dy.device());
    const auto call = [&]<int N>() {
      const Rows<S, N> of{width, dy.data<S>(), sums.data<T>(), dweight.data<S>()};
      const int64_t warps = (width / N + filigree::cuda::kWarp - 1) / filigree::cuda::kWarp;
      const auto threads = std::min(kMostThreads, warps * filigree::cuda::kWarp);
      const filigree::cuda::Grid grid{.blocks = count, .threads = static_cast<int>(threads)};
      filigree::cuda::launch("embedding", dy, grid, sum_pieces<S, N>, sorted, of);
      filigree::cuda::launch("embedding", dy, grid, sum_ids<S, N>, sorted, of);
    };
    filigree::cuda::with_pack<S>(width, call, dy.data<S>(), std::as_const(dweight).data<S>());
  });
}

void scatter_rows(const Tensor& x, const Tensor& ids, Tensor& y) {
  y.fill(0);
  filigree::cuda::dispatch_stored("embedding", x.dtype(), [&]<class S>() {
    const S* from = x.data<S>();
    S* to = y.data<S>();
    const int64_t width = y.size(1);
    const auto call = [&]<int N>() {
      filigree::cuda::for_each("embedding", x, x.numel() / N,
                               Scatter<S, N>{from, ids.data<int32_t>(), to, width});
    };
    filigree::cuda::with_pack<S>(width, call, from, to);
  });
}

}  // namespace filigree::kernels::cuda
