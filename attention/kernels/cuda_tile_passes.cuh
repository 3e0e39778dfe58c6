// The passes of attention by tiles, compiled apart. For .cu files alone.
#pragma once

#include "attention/kernels/cuda_tile_backward.cuh"
#include "core/cuda/rows.cuh"

namespace filigree::kernels::cuda {

/// On tensor cores where they can: in bf16, heads of up to 128 elements.
template <class S>
void tiles_forward_pass(TilePass<S> pass, const Tensor& where, S* o,
                        filigree::cuda::Compute<S>* lse);
/// The gradients are laid out as q, k and v are.
template <class S>
void tiles_backward_pass(TilePass<S> pass, const Tensor& where, S* dq, S* dk, S* dv,
                         DistanceParts<filigree::cuda::Compute<S>> parts);

/// delta (T, H) = <do, o> of every token and head.
template <class S>
Tensor make_delta(const Tensor& grad, const Tensor& o, const Tensor& lse, int64_t head_dim);

/// Room for what the blocks of a pass add up by distance (DistanceParts); none where not `wanted`.
template <class S>
Tensor make_parts(const TilePass<S>& pass, const Tensor& wanted, int64_t reach) {
  if (!wanted.defined()) return {};
  return Tensor(Shape{pass.blocks, pass.heads * (2 * reach + 1)},
                dtype_of<filigree::cuda::Compute<S>>, wanted.device());
}
/// Their sums over the blocks.
template <class T, class Out>
void add_up_parts(std::string_view op, const Tensor& parts, Out* to) {
  filigree::cuda::column_sums(op, parts, parts.size(0), parts.size(1), parts.data<T>(), to);
}

}  // namespace filigree::kernels::cuda
