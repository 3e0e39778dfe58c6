// Sparse attention: raw kernels, forward and backward (algorithms: docs/attention).
#pragma once

#include "attention/graph.h"
#include "core/kernels/kernel.h"

namespace filigree {

/// Which CPU kernel computes a sequence in the heads that share its graph. All take any graph, and
/// agree up to the order of summation.
///   rows   one query at a time over its columns in ascending order: a simple reference. The same
///          graph gives the same bits whether its columns are intervals, globals or extra ones.
///   tiles  the rows' intervals by products of small matrices; where there are further columns, the
///          rows from their first to their last column, with what is no edge masked.
///   edges  all edges, column by column of 64 queries.
///   mixed  intervals by tiles, the further columns by edges.
///   automatic  the fastest by the measured costs (docs/attention, "Which kernel").
enum class AttentionKernel : uint8_t { automatic, rows, tiles, edges, mixed };

namespace kernels {
struct BatchSchedule;
}

/// What a kernel needs beside its tensors. q, k and v may be columns of one (T, stride) tensor.
struct AttentionArguments {
  std::shared_ptr<const AttentionGraph> graph;
  std::shared_ptr<const kernels::BatchSchedule> schedule;  ///< of the graph, for the CPU
  int64_t head_dim = 0;
  int64_t stride = 0;                    ///< elements from one token to the next in q, k, v
  int64_t q_at = 0, k_at = 0, v_at = 0;  ///< first column of q, k, v
  double scale = 1;                      ///< s_ij = scale <q_i, k_j> + bias
  double dropout = 0;
  uint64_t dropout_key = 0;  ///< of (seed, step, layer); head, i and j are mixed in
  int64_t bias_reach = -1;   ///< bias (H, 2R+1) for |j-i| <= R; -1 for none
};

}  // namespace filigree

namespace filigree::kernels {

/// o (T, H D), lse (T, H): o_i = sum_j a_ij v_j, lse_i = log sum_j e^{s_ij}; an empty row gives 0
/// and -inf.
FILIGREE_KERNEL(attention_forward,
                (const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                 const AttentionArguments& arguments, Tensor& o, Tensor& lse),
                (q, k, v, bias, arguments, o, lse))
/// Gradients, laid out as q, k, v are; dbias (H, 2R+1) if there is a bias. Everything is
/// overwritten.
FILIGREE_KERNEL(attention_backward,
                (const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                 const Tensor& o, const Tensor& lse, const Tensor& grad,
                 const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                 Tensor& dbias),
                (q, k, v, bias, o, lse, grad, arguments, dq, dk, dv, dbias))

}  // namespace filigree::kernels
