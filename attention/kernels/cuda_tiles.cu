#include "attention/kernels/cuda_tensor_passes.cuh"
#include "attention/kernels/cuda_tile_backward.cuh"
#include "attention/kernels/cuda_tile_forward.cuh"
#include "attention/kernels/cuda_tile_passes.cuh"
#include "core/error.h"

namespace filigree::kernels::cuda {

namespace {

constexpr std::string_view kOp = "sparse_attention";

/// Row t H + h of the loops.
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

/// What tensor cores find (TilePass::not_finite), if they take the pass.
template <class S>
Tensor probe_for(TilePass<S>& pass, const Tensor& where) {
  if (!std::is_same_v<S, BFloat16> || pass.dim > kWidestTensor) return {};
  Tensor found = Tensor::zeros({1}, DType::i32, where.device());
  pass.not_finite = found.data<int32_t>();
  return found;
}

template <class S>
filigree::cuda::Grid grid_of(const TilePass<S>& pass, int64_t shared) {
  return {.blocks = pass.blocks, .heads = pass.heads, .threads = kThreads, .shared = shared};
}

}  // namespace

template <class S>
void tiles_forward_pass(TilePass<S> pass, const Tensor& where, S* o,
                        filigree::cuda::Compute<S>* lse) {
  const Tensor found = probe_for(pass, where);
  if constexpr (std::is_same_v<S, BFloat16>) {
    if (found.defined()) {
      with_cores(pass, where,
                 [&]<class Cores>() { TensorPasses<Cores>::forward(pass, where, o, lse); });
    }
  }
  with_columns(pass.dim, [&]<int C>() {
    const int64_t shared = forward_shared_bytes<filigree::cuda::Compute<S>>(pass.dim);
    filigree::cuda::launch(kOp, where, grid_of(pass, shared), tile_forward<S, C>, pass, o, lse);
  });
}

template <class S>
void tiles_backward_pass(TilePass<S> pass, const Tensor& where, S* dq, S* dk, S* dv,
                         DistanceParts<filigree::cuda::Compute<S>> parts) {
  const Tensor found = probe_for(pass, where);
  if constexpr (std::is_same_v<S, BFloat16>) {
    if (found.defined()) {
      with_cores(pass, where, [&]<class Cores>() {
        TensorPasses<Cores>::rows(pass, where, dq, parts);
        TensorPasses<Cores>::columns(pass, where, dk, dv);
      });
    }
  }
  const filigree::cuda::Grid grid =
      grid_of(pass, backward_shared_bytes<filigree::cuda::Compute<S>>(pass.dim));
  with_columns(pass.dim, [&]<int C>() {
    filigree::cuda::launch(kOp, where, grid, tile_backward_rows<S, C>, pass, dq, parts);
    filigree::cuda::launch(kOp, where, grid, tile_backward_columns<S, C>, pass, dk, dv);
  });
}

template <class S>
Tensor make_delta(const Tensor& grad, const Tensor& o, const Tensor& lse, int64_t head_dim) {
  Tensor delta(lse.shape(), lse.dtype(), lse.device());
  filigree::cuda::for_rows(
      kOp, grad, lse.numel(), head_dim,
      Delta<S>{grad.data<S>(), o.data<S>(), delta.data<filigree::cuda::Compute<S>>()});
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
