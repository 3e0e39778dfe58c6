// Sparse attention: raw kernels, forward and backward (algorithms: docs/attention).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention/attention_use.h"
#include "attention/graph.h"
#include "core/kernels/kernel.h"

namespace filigree {

namespace kernels {
struct BatchSchedule;
}

/// Tokens whose rows and columns a gate leaves alone, sequence by sequence.
struct AlwaysOn {
  std::vector<int64_t> bounds;  ///< (B+1) into tokens
  std::vector<int32_t> tokens;  ///< ascending in a sequence, counted from its first token

  std::span<const int32_t> of(int64_t b) const {
    const int64_t* bound = bounds.data() + b;
    return {tokens.data() + bound[0], static_cast<size_t>(bound[1] - bound[0])};
  }
};

/// Takes the slopes of an irregular gate, row by row. Called from several threads: for one task by
/// one thread, in the order of its tokens. What tasks give must be added up in their order.
class RowSlopes {
 public:
  virtual ~RowSlopes() = default;
  /// Before the first row: so many tasks are to come.
  virtual void start(size_t tasks) = 0;
  /// All that the task has given is void: its rows come again.
  virtual void clear(size_t task) = 0;
  /// slopes (R+1): at d the sum of dL/dm_ij over the gated edges of packed token i with |j-i| = d.
  virtual void add(size_t task, int head, int64_t token, std::span<const double> slopes) = 0;
};

/// The backward pass of a gate m_ij = 1 for |j-i| <= reach(h, i), and of the `always`. The graph of
/// the pass holds the pairs that get slopes, open and closed.
struct IrregularGate {
  Tensor own;                   ///< (H, T) i32: the reach of every token
  int64_t reach = -1;           ///< R, of the slopes; -1: there is no such gate
  RowSlopes* slopes = nullptr;  ///< must outlive the pass
};

/// What a kernel needs beside its tensors. q, k and v may be columns of one (T, stride) tensor.
struct AttentionArguments {
  std::shared_ptr<const AttentionGraph> graph;
  std::shared_ptr<const kernels::BatchSchedule> schedule;  ///< of the graph, for the CPU
  AttentionKernel kernel = AttentionKernel::automatic;     ///< for a device
  int64_t head_dim = 0;
  int64_t stride = 0;                    ///< elements from one token to the next in q, k, v
  int64_t q_at = 0, k_at = 0, v_at = 0;  ///< first column of q, k, v
  double scale = 1;                      ///< s_ij = scale <q_i, k_j> + bias
  double dropout = 0;
  uint64_t dropout_key = 0;                ///< of (seed, step, layer); head, i and j are mixed in
  int64_t bias_reach = -1;                 ///< bias (H, 2R+1) for |j-i| <= R; -1 for none
  std::shared_ptr<const AlwaysOn> always;  ///< of a gate, soft or drawn; null for no token
  IrregularGate irregular;                 ///< backward pass only
};

}  // namespace filigree

namespace filigree::kernels {

/// o (T, H D), lse (T, H): o_i = sum_j a_ij v_j, lse_i = log sum_j m_ij e^{s_ij}; an empty row
/// gives 0 and -inf. gate (H, R+1) in [0, 1] or undefined: m_ij = g_h(|j-i|), 0 beyond R, 1 for i =
/// j and in the rows and columns of `always`.
FILIGREE_KERNEL(attention_forward,
                (const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                 const Tensor& gate, const AttentionArguments& arguments, Tensor& o, Tensor& lse),
                (q, k, v, bias, gate, arguments, o, lse))
/// Gradients, laid out as q, k, v are; dbias (H, 2R+1) if there is a bias, dgate (H, R+1) if there
/// is a gate. Everything is overwritten.
FILIGREE_KERNEL(attention_backward,
                (const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                 const Tensor& gate, const Tensor& o, const Tensor& lse, const Tensor& grad,
                 const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                 Tensor& dbias, Tensor& dgate),
                (q, k, v, bias, gate, o, lse, grad, arguments, dq, dk, dv, dbias, dgate))

/// The name of what multiplies in the tiles of heads of `dim` elements of the dtype of `like`:
/// "wgmma", "mma.sync", "cores" (of CUDA), "CPU".
FILIGREE_KERNEL(attention_units, (const Tensor& like, int64_t dim, std::string& units),
                (like, dim, units))

}  // namespace filigree::kernels
