#include <algorithm>
#include <bit>
#include <climits>
#include <cub/cub.cuh>

#include "core/cuda/map.cuh"
#include "core/error.h"
#include "core/kernels/embedding.h"

namespace filigree::kernels::cuda {

namespace {

constexpr int64_t kPiece = 64;  // rows that one block adds up
constexpr int kThreads = 128;

using filigree::cuda::Compute;
using filigree::cuda::load;

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
};

/// sums[p]: of the piece that begins at p. A block a position.
template <class S>
__global__ void sum_pieces(Sorted sorted, int64_t width, const S* dy, Compute<S>* sums) {
  const int64_t p = blockIdx.x;
  if (!sorted.begins_piece(p)) return;
  int64_t end = p + 1;
  while (end < sorted.count && !sorted.begins_piece(end)) ++end;
  for (int64_t j = threadIdx.x; j < width; j += blockDim.x) {
    Compute<S> sum = 0;
    for (int64_t q = p; q < end; ++q) sum += load(dy[sorted.row[q] * width + j]);
    sums[p * width + j] = sum;
  }
}

/// dweight of the id that begins at p: its pieces in order.
template <class S>
__global__ void sum_ids(Sorted sorted, int64_t width, const Compute<S>* sums, S* dweight) {
  const int64_t p = blockIdx.x;
  if (!sorted.begins_id(p)) return;
  const int32_t id = sorted.key[p];
  for (int64_t j = threadIdx.x; j < width; j += blockDim.x) {
    Compute<S> sum = sums[p * width + j];
    for (int64_t q = (p / kPiece + 1) * kPiece; q < sorted.count && sorted.key[q] == id;
         q += kPiece) {
      sum += sums[q * width + j];
    }
    dweight[id * width + j] = convert<S>(sum);
  }
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
    const int32_t* rows = ids.data<int32_t>();
    S* to = y.data<S>();
    const int64_t width = weight.size(1);
    constexpr int N = filigree::cuda::kPack<S>;
    if (width % N == 0 && filigree::cuda::packs_fit<N>(from, to)) {
      filigree::cuda::for_each("embedding", y, y.numel() / N, Gather<S, N>{from, rows, to, width});
    } else {
      filigree::cuda::for_each("embedding", y, y.numel(), Gather<S, 1>{from, rows, to, width});
    }
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
    const filigree::cuda::Grid grid{.blocks = count, .threads = kThreads};
    filigree::cuda::launch("embedding", dy, grid, sum_pieces<S>, sorted, width, dy.data<S>(),
                           sums.data<T>());
    filigree::cuda::launch("embedding", dy, grid, sum_ids<S>, sorted, width, sums.data<T>(),
                           dweight.data<S>());
  });
}

}  // namespace filigree::kernels::cuda
