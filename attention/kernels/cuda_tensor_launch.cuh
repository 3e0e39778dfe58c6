// The definitions of TensorPasses, for the file of each kind of cores.
#pragma once

#include "attention/kernels/cuda_tensor_backward.cuh"
#include "attention/kernels/cuda_tensor_forward.cuh"
#include "attention/kernels/cuda_tensor_passes.cuh"
#include "core/cuda/context.cuh"

namespace filigree::kernels::cuda {

template <class Cores, int W, Scores kScores, class Body>
void with_dropout(const TilePass<Half>& pass, Body body) {
  pass.least != 0 ? body.template operator()<W, true, kScores>()
                  : body.template operator()<W, false, kScores>();
}
/// body.template operator()<W, Dropout, Scores>() of the kernel for the pass.
template <class Cores, class Body>
void with_kind(const TilePass<Half>& pass, Body body) {
  Cores::with_width(pass.dim, [&]<int W>() {
    if (pass.bias || pass.log_gate) return with_dropout<Cores, W, Scores::added>(pass, body);
    if constexpr (Cores::kHasPlain) {
      if (!pass.drawn.own) return with_dropout<Cores, W, Scores::plain>(pass, body);
    }
    with_dropout<Cores, W, Scores::drawn>(pass, body);
  });
}

inline filigree::cuda::Grid tensor_grid(const TilePass<Half>& pass, int64_t shared) {
  return {.blocks = pass.blocks, .heads = pass.heads, .threads = kWarpgroup, .shared = shared};
}

template <class Cores>
void TensorPasses<Cores>::forward(const TilePass<Half>& pass, const Tensor& where, Half* o,
                                  float* lse) {
  with_kind<Cores>(pass, [&]<int W, bool Dropout, Scores kScores>() {
    filigree::cuda::launch("sparse_attention", where,
                           tensor_grid(pass, tensor_forward_shared_bytes(W)),
                           tensor_forward<Cores, W, Dropout, kScores>, pass, o, lse);
  });
}

template <class Cores>
void TensorPasses<Cores>::rows(const TilePass<Half>& pass, const Tensor& where, Half* dq,
                               DistanceParts<float> parts) {
  with_kind<Cores>(pass, [&]<int W, bool Dropout, Scores kScores>() {
    const int64_t shared = tensor_rows_shared_bytes(W, kScores == Scores::added);
    filigree::cuda::launch("sparse_attention", where, tensor_grid(pass, shared),
                           tensor_backward_rows<Cores, W, Dropout, kScores>, pass, dq, parts);
  });
}

template <class Cores>
void TensorPasses<Cores>::columns(const TilePass<Half>& pass, const Tensor& where, Half* dk,
                                  Half* dv) {
  with_kind<Cores>(pass, [&]<int W, bool Dropout, Scores kScores>() {
    filigree::cuda::launch("sparse_attention", where,
                           tensor_grid(pass, tensor_columns_shared_bytes(W)),
                           tensor_backward_columns<Cores, W, Dropout, kScores>, pass, dk, dv);
  });
}

}  // namespace filigree::kernels::cuda
