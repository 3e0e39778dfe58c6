#include "attention/kernels/cuda_mma_backward.cuh"
#include "attention/kernels/cuda_mma_forward.cuh"
#include "attention/kernels/cuda_tile_backward.cuh"
#include "attention/kernels/cuda_tile_forward.cuh"
#include "attention/kernels/cuda_tile_passes.cuh"
#include "attention/kernels/cuda_wgmma_passes.cuh"
#include "attention/kernels/cuda_widths.cuh"

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

/// What tensor cores find (TilePass::not_finite), if they take the pass.
template <class S>
Tensor probe_for(TilePass<S>& pass, const Tensor& where) {
  if (!tensor_cores_take(pass)) return {};
  Tensor found = Tensor::zeros({1}, DType::i32, where.device());
  pass.not_finite = found.data<int32_t>();
  return found;
}

template <class S>
filigree::cuda::Grid grid_of(const TilePass<S>& pass, int64_t shared, int threads = kThreads) {
  return {.blocks = pass.blocks, .heads = pass.heads, .threads = threads, .shared = shared};
}

void tensor_forward(const TilePass<Half>& pass, const Tensor& where, Half* o, float* lse) {
  if (wgmma_takes(pass, where)) return wgmma_forward_pass(pass, where, o, lse);
  with_mma_width(pass.dim, [&]<int W>() {
    filigree::cuda::launch(kOp, where, grid_of(pass, mma_forward_shared_bytes(W), kMmaThreads),
                           mma_forward<W>, pass, o, lse);
  });
}
void tensor_rows(const TilePass<Half>& pass, const Tensor& where, Half* dq,
                 DistanceParts<float> parts) {
  if (wgmma_takes(pass, where)) return wgmma_rows_pass(pass, where, dq, parts);
  with_mma_width(pass.dim, [&]<int W>() {
    const int64_t shared = mma_rows_shared_bytes(W, parts.bias || parts.gate);
    filigree::cuda::launch(kOp, where, grid_of(pass, shared, kMmaThreads), mma_backward_rows<W>,
                           pass, dq, parts);
  });
}
void tensor_columns(const TilePass<Half>& pass, const Tensor& where, Half* dk, Half* dv) {
  if (wgmma_takes(pass, where)) return wgmma_columns_pass(pass, where, dk, dv);
  with_mma_width(pass.dim, [&]<int W>() {
    filigree::cuda::launch(kOp, where, grid_of(pass, mma_columns_shared_bytes(W), kMmaThreads),
                           mma_backward_columns<W>, pass, dk, dv);
  });
}

}  // namespace

template <class S>
void tiles_forward_pass(TilePass<S> pass, const Tensor& where, S* o,
                        filigree::cuda::Compute<S>* lse) {
  const Tensor found = probe_for(pass, where);
  if constexpr (std::is_same_v<S, Half>) {
    if (found.defined()) tensor_forward(pass, where, o, lse);
  }
  with_columns(kOp, pass.dim, [&]<int C>() {
    const int64_t shared = forward_shared_bytes<filigree::cuda::Compute<S>>(pass.dim);
    filigree::cuda::launch(kOp, where, grid_of(pass, shared), tile_forward<S, C>, pass, o, lse);
  });
}

template <class S>
void tiles_backward_pass(TilePass<S> pass, const Tensor& where, S* dq, S* dk, S* dv,
                         DistanceParts<filigree::cuda::Compute<S>> parts) {
  const Tensor found = probe_for(pass, where);
  if constexpr (std::is_same_v<S, Half>) {
    if (found.defined()) {
      tensor_rows(pass, where, dq, parts);
      tensor_columns(pass, where, dk, dv);
    }
  }
  const filigree::cuda::Grid grid =
      grid_of(pass, backward_shared_bytes<filigree::cuda::Compute<S>>(pass.dim));
  with_columns(kOp, pass.dim, [&]<int C>() {
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
