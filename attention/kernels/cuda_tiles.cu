#include <algorithm>
#include <type_traits>

#include "attention/kernels/cuda_tensor_passes.cuh"
#include "attention/kernels/cuda_tile_backward.cuh"
#include "attention/kernels/cuda_tile_forward.cuh"
#include "attention/kernels/cuda_tile_passes.cuh"
#include "core/cuda/map.cuh"
#include "core/error.h"

namespace filigree::kernels::cuda {

namespace {

constexpr std::string_view kOp = "sparse_attention";

/// delta of row t H + h: a warp has it, for heads that packs do not fit.
template <class S>
struct Delta {
  using T = filigree::cuda::Compute<S>;
  const S *grad, *o;
  T* delta;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const int64_t at = row.row * row.width;
    const T sum = row.sum<T>([&](int64_t d) { return load(grad[at + d]) * load(o[at + d]); });
    if (row.lane == 0) delta[row.row] = sum;
  }
};

/// The same by packs of N: L lanes have a row of up to N L elements.
template <class S, int N, int L>
__global__ void __launch_bounds__(kThreads)
    packed_delta(const S* grad, const S* o, filigree::cuda::Compute<S>* delta, int64_t rows,
                 int dim) {
  using T = filigree::cuda::Compute<S>;
  const int64_t thread = filigree::cuda::element_index(), row = thread / L;
  const int d = N * static_cast<int>(thread % L);
  T sum = 0;
  if (row < rows && d < dim) {
    const auto left = filigree::cuda::load_pack<S, N>(grad + row * dim + d);
    const auto right = filigree::cuda::load_pack<S, N>(o + row * dim + d);
#pragma unroll
    for (int i = 0; i < N; ++i) sum += load(left.of[i]) * load(right.of[i]);
  }
#pragma unroll
  for (int step = L / 2; step > 0; step /= 2) sum += __shfl_xor_sync(~0U, sum, step);
  if (row < rows && d == 0) delta[row] = sum;
}

/// body.template operator()<L>() with the fewest lanes, 4 to 32, that hold so many packs.
template <class Body>
void with_delta_lanes(int64_t packs, Body body) {
  if (packs <= 4) return body.template operator()<4>();
  if (packs <= 8) return body.template operator()<8>();
  if (packs <= 16) return body.template operator()<16>();
  body.template operator()<32>();
}

/// body.template operator()<C>() with 16 C >= dim columns a thread. Throws ShapeError.
template <class Body>
void with_columns(int dim, Body body) {
  if (dim <= 16) return body.template operator()<1>();
  if (dim <= 32) return body.template operator()<2>();
  if (dim <= 64) return body.template operator()<4>();
  if (dim <= 128) return body.template operator()<8>();
  if (dim <= 256) return body.template operator()<16>();
  throw ShapeError(kOp, "heads of " + std::to_string(dim) + " elements have no CUDA kernel",
                   "heads of up to 256 have one");
}

/// Whether tensor cores take the pass; if so, they may leave word.
template <class S>
bool take_tensor_cores(TilePass<S>& pass, const Tensor& where) {
  if (!std::is_same_v<S, BFloat16> || pass.dim > kWidestTensor) return false;
  pass.not_finite = filigree::cuda::context_of(where.device()).make_notice();
  return true;
}

/// A block of threads for every block and head; where next to never anything is left over, as many
/// as find out quickly.
template <class S>
filigree::cuda::Grid grid_of(const TilePass<S>& pass, const Tensor& where, int64_t shared) {
  const int64_t all = pass.blocks * pass.heads;
  const auto& device = filigree::cuda::context_of(where.device()).properties();
  const int64_t few = std::min(all, int64_t{2} * device.multiProcessorCount);
  return {.blocks = pass.not_finite.at ? few : all, .threads = kThreads, .shared = shared};
}

}  // namespace

template <class S>
void tiles_forward_pass(TilePass<S> pass, const Tensor& where, S* o,
                        filigree::cuda::Compute<S>* lse) {
  const bool on_tensor_cores = take_tensor_cores(pass, where);
  if constexpr (std::is_same_v<S, BFloat16>) {
    if (on_tensor_cores) {
      with_cores(pass, where,
                 [&]<class Cores>() { TensorPasses<Cores>::forward(pass, where, o, lse); });
    }
  }
  with_columns(pass.dim, [&]<int C>() {
    const int64_t shared = forward_shared_bytes<filigree::cuda::Compute<S>>(pass.dim);
    filigree::cuda::launch(kOp, where, grid_of(pass, where, shared), tile_forward<S, C>, pass, o,
                           lse);
  });
}

template <class S>
void tiles_backward_pass(TilePass<S> pass, const Tensor& where, S* dq, S* dk, S* dv,
                         DistanceParts<filigree::cuda::Compute<S>> parts) {
  const bool on_tensor_cores = take_tensor_cores(pass, where);
  if constexpr (std::is_same_v<S, BFloat16>) {
    if (on_tensor_cores) {
      with_cores(pass, where, [&]<class Cores>() {
        TensorPasses<Cores>::rows(pass, where, dq, parts);
        TensorPasses<Cores>::columns(pass, where, dk, dv);
      });
    }
  }
  const filigree::cuda::Grid grid =
      grid_of(pass, where, backward_shared_bytes<filigree::cuda::Compute<S>>(pass.dim));
  with_columns(pass.dim, [&]<int C>() {
    filigree::cuda::launch(kOp, where, grid, tile_backward_rows<S, C>, pass, dq, parts);
    filigree::cuda::launch(kOp, where, grid, tile_backward_columns<S, C>, pass, dk, dv);
  });
}

template <class S>
Tensor make_delta(const Tensor& grad, const Tensor& o, const Tensor& lse, int64_t head_dim) {
  using T = filigree::cuda::Compute<S>;
  constexpr int N = filigree::cuda::kPack<S>;
  Tensor delta(lse.shape(), lse.dtype(), lse.device());
  const S *from_grad = grad.data<S>(), *from_o = o.data<S>();
  T* const to = delta.data<T>();
  if (head_dim % N != 0 || head_dim > 32 * N || !filigree::cuda::packs_fit<N>(from_grad, from_o)) {
    filigree::cuda::for_rows(kOp, grad, lse.numel(), head_dim, Delta<S>{from_grad, from_o, to});
    return delta;
  }
  with_delta_lanes(head_dim / N, [&]<int L>() {
    const int64_t blocks = (lse.numel() * L + kThreads - 1) / kThreads;
    filigree::cuda::launch(kOp, grad, {.blocks = blocks, .threads = kThreads},
                           packed_delta<S, N, L>, from_grad, from_o, to, lse.numel(),
                           static_cast<int>(head_dim));
  });
  return delta;
}

#define FILIGREE_PASSES(S)                                                                       \
  template void tiles_forward_pass(TilePass<S>, const Tensor&, S*, filigree::cuda::Compute<S>*); \
  template void tiles_backward_pass(TilePass<S>, const Tensor&, S*, S*, S*,                      \
                                    DistanceParts<filigree::cuda::Compute<S>>);                  \
  template Tensor make_delta<S>(const Tensor&, const Tensor&, const Tensor&, int64_t);
FILIGREE_PASSES(float)
FILIGREE_PASSES(double)
FILIGREE_PASSES(BFloat16)
#undef FILIGREE_PASSES

}  // namespace filigree::kernels::cuda
