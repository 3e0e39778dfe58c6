// Sparse attention as a differentiable op, and its dense reference.
#pragma once

#include <memory>
#include <string_view>

#include "attention/graph.h"
#include "attention/kernels/sparse_attention.h"
#include "autograd/variable.h"

namespace filigree {

/// "tiles"; and back: ConfigError names the nearest.
std::string_view name_of(AttentionKernel kernel);
AttentionKernel parse_kernel(std::string_view name);

struct AttentionOptions {
  double scale = 0;    ///< of scores; 0: 1 / sqrt(D)
  double dropout = 0;  ///< probability that a weight a_ij is dropped, in [0, 1)
  uint64_t seed = 0;   ///< keep bits are keyed (seed, step, layer, head, i, j)
  uint64_t step = 0;
  int layer = 0;
  AttentionKernel kernel = AttentionKernel::automatic;
};

/// The scale of heads of `dim` elements: 1 / sqrt(dim) for 0. Throws ConfigError unless it is 0, or
/// finite and positive.
double attention_scale(std::string_view where, double wanted, int64_t dim);
/// Throws unless the bias is (heads, 2R+1), of the kind of `like`.
void expect_attention_bias(std::string_view where, const Tensor& bias, const Tensor& like,
                           int64_t heads);
/// A soft gate of attention weights by distance, one a head: what degrees are learned by.
struct AttentionGate {
  Variable g;                              ///< (H, R+1), in [0, 1]; entry 0 is taken for 1
  std::shared_ptr<const AlwaysOn> always;  ///< tokens whose rows and columns are not gated, or null
};

/// Throws unless the gate fits the graph: see gated_attention().
void expect_attention_gate(std::string_view where, const AttentionGate& gate, const Tensor& like,
                           const AttentionGraph& graph);

/// o_i = sum_{j in N(i)} a_ij v_j with a_ij = softmax_j(<q_i, k_j> scale + bias_h(j - i)), per
/// head. q, k, v (T, H D), H the graph's heads; bias (H, 2R+1), entry R + (j - i), or undefined;
/// result (T, H D). An empty row, and one whose scores are all -inf, gives 0 with zero gradients;
/// what nobody sees reaches nothing.
/// Keeps o and the log-sum-exp (T, H) only; the backward pass recomputes a. Deterministic on any
/// number of threads. Throws ShapeError, ConfigError. Cost: 4 D flops an edge forward, 10 D
/// backward. Double backward: use attention_reference().
Variable sparse_attention(const Variable& q, const Variable& k, const Variable& v,
                          std::shared_ptr<const AttentionGraph> graph,
                          const AttentionOptions& options = {}, const Variable& bias = {});

/// The same on one tensor qkv (T, 3 H D) = [q | k | v], as a fused projection makes it.
Variable sparse_attention_qkv(const Variable& qkv, std::shared_ptr<const AttentionGraph> graph,
                              const AttentionOptions& options = {}, const Variable& bias = {});

/// sparse_attention() with gated weights: with m_ij = 1 for i = j and in the rows and columns of
/// `always`, g_h(|j-i|) elsewhere, 0 beyond R,
///   a_ij = m_ij e^{s_ij} / sum_{j' in N(i)} m_ij' e^{s_ij'}.
/// With e_ij = u_ij (dP_ij - Delta_i), u_ij = e^{s_ij} / sum_j' m_ij' e^{s_ij'},
///   dL/ds_ij = m_ij e_ij,   dL/dg_h(d) = sum of e_ij over the gated edges with |j-i| = d,
/// which is exact for a closed distance, too (g = 0; there s_ij - L_i is cut at 30), so that it can
/// open again. (An open g so small that g u is no number any more counts as if it had no slope.) A
/// row where nothing passes gives 0 with zero gradients. Edges at distances that shall neither pass
/// nor open need not be in the graph. Same cost as without the gate; memory: 2 r + 1 numbers for
/// every head of every sequence, r the smaller of R and the longest sequence. Throws ShapeError;
/// NumericError if an entry of g is not in [0, 1].
Variable gated_attention(const Variable& q, const Variable& k, const Variable& v,
                         std::shared_ptr<const AttentionGraph> graph, const AttentionGate& gate,
                         const AttentionOptions& options = {}, const Variable& bias = {});
Variable gated_attention_qkv(const Variable& qkv, std::shared_ptr<const AttentionGraph> graph,
                             const AttentionGate& gate, const AttentionOptions& options = {},
                             const Variable& bias = {});

/// The dense composite that sparse_attention must equal: n x n scores for each sequence, masked
/// softmax, all in simple ops. For tests and double backward. Cost and memory O(H n^2).
Variable attention_reference(const Variable& q, const Variable& k, const Variable& v,
                             std::shared_ptr<const AttentionGraph> graph,
                             const AttentionOptions& options = {}, const Variable& bias = {});
/// The same for gated_attention().
Variable gated_attention_reference(const Variable& q, const Variable& k, const Variable& v,
                                   std::shared_ptr<const AttentionGraph> graph,
                                   const AttentionGate& gate, const AttentionOptions& options = {},
                                   const Variable& bias = {});

/// Key of the keep bits of (options, head): philox(key, i, j / 4), word j % 4, i and j packed
/// indices.
uint64_t attention_dropout_key(const AttentionOptions& options);

}  // namespace filigree
