// What every pass of attention on a device has, by tiles or by edges. For .cu files alone.
#pragma once

#include <cmath>

#include "attention/kernels/sparse_attention.h"
#include "core/cuda/element.cuh"
#include "core/cuda/random.cuh"

namespace filigree::kernels::cuda {

/// One pass over a batch, of elements stored as S and computed in T. Rows of q, k, v and their
/// gradients are `stride` apart, of o and its gradient `width`.
template <class S>
struct AttentionPass {
  using T = filigree::cuda::Compute<S>;
  const S *q, *k, *v, *grad;  // grad: backward
  const T *lse, *delta;       // backward; delta_i = <do_i, o_i> (T, H)
  int64_t stride, width, tokens;
  int heads, dim;
  T scale;  // above 0
  uint64_t dropout_key;
  uint32_t least;  // of 24 random bits that keep a weight; 0: no dropout
  T kept;

  /// All but what only the backward pass has.
  void describe(const Tensor& queries, const Tensor& keys, const Tensor& values, int head_count,
                const AttentionArguments& arguments) {
    q = queries.data<S>() + arguments.q_at;
    k = keys.data<S>() + arguments.k_at;
    v = values.data<S>() + arguments.v_at;
    heads = head_count;
    dim = static_cast<int>(arguments.head_dim);
    stride = arguments.stride;
    width = heads * arguments.head_dim;
    tokens = queries.size(0);
    scale = static_cast<T>(arguments.scale);
    if (arguments.dropout == 0) return;
    least = static_cast<uint32_t>(std::ceil(std::ldexp(static_cast<float>(arguments.dropout), 24)));
    kept = static_cast<T>(1 / (1 - arguments.dropout));
    dropout_key = arguments.dropout_key;
  }

  /// The key of a head's dropout.
  __device__ uint64_t key_of_head(int head) const {
    return least == 0 ? 0 : filigree::cuda::mix_key(dropout_key, static_cast<uint64_t>(head));
  }
  /// The factor of dropout of a head with this key, for the packed tokens i and j; the CPU's bits.
  __device__ T factor(uint64_t key, int64_t i, int64_t j) const {
    if (least == 0) return T(1);
    const filigree::cuda::Bits bits =
        filigree::cuda::philox(key, static_cast<uint64_t>(i), static_cast<uint64_t>(j / 4));
    return bits.word[j % 4] >> 8 >= least ? kept : T(0);
  }
};

}  // namespace filigree::kernels::cuda
