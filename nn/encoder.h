// The transformer encoder (Vaswani et al. 2017; BERT, Devlin et al. 2019) on packed tokens.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/placement.h"
#include "attention/sparse_attention.h"
#include "nn/degrees/degree_learner.h"
#include "nn/encoder_config.h"
#include "nn/layers.h"

namespace filigree {

/// A packed batch as a model sees it.
struct TokenBatch {
  Tensor ids;        ///< (T) i32
  Tensor positions;  ///< (T) i32, from 0 in every sequence
  Tensor segments;   ///< (T) i32; undefined: all 0. Not looked at by a model with fewer than 2
  Tensor offsets;    ///< (B+1) i64
  /// Tokens whose rows and columns learned degrees leave alone; null for none.
  std::shared_ptr<const AlwaysOn> always = nullptr;
  /// (R) i32, ascending: the tokens whose last hidden states are asked for; undefined: all. The
  /// last layer computes no others, but for what these attend to.
  Tensor wanted = {};
};

/// Multi-head self-attention with one projection for queries, keys and values.
class SelfAttention final : public Module {
 public:
  SelfAttention(const EncoderConfig& config, int layer, DType dtype);
  /// x (T, E) to what the heads bring together (T, E), under learned degrees if there are any.
  Variable attend(const Variable& x, const std::shared_ptr<const AttentionGraph>& graph,
                  const LayerDegrees& degrees, const ForwardContext& context) const;
  /// The output projection of that, (R, E) to (R, E).
  Variable project(const Variable& heads) const;

 private:
  double dropout_;
  int layer_;
  Linear query_key_value_, output_;
  Variable relative_bias_;  // (H, 2R+1) or undefined
};

/// W2 f(W1 x): (T, E) to (T, F) to (T, E).
class FeedForward final : public Module {
 public:
  FeedForward(const EncoderConfig& config, DType dtype);
  Variable forward(const Variable& x) const;

 private:
  Activation activation_;
  Linear input_, output_;
};

/// Attention and feed-forward, each with dropout, residual and layer norm.
class EncoderLayer final : public Module {
 public:
  EncoderLayer(const EncoderConfig& config, int layer, DType dtype);
  /// x (T, E) to (T, E), or to (R, E) for the `wanted` tokens alone, see TokenBatch: the others are
  /// left out of all that follows attention, 9 E^2 of the layer's 12 E^2 weights where F = 4 E.
  Variable forward(const Variable& x, const std::shared_ptr<const AttentionGraph>& graph,
                   const LayerDegrees& degrees, const ForwardContext& context,
                   const Tensor& wanted = {}) const;

 private:
  EncoderConfig config_;
  SelfAttention attention_;
  LayerNorm attention_norm_;
  FeedForward feed_forward_;
  LayerNorm feed_forward_norm_;
};

/// Embeddings and L layers.
class Encoder final : public Module {
 public:
  /// Parameters are zero (norms one): initialise() or load_state_dict() follows.
  explicit Encoder(const EncoderConfig& config, DType dtype = DType::f32);

  /// Hidden states of the last layer, (T, E), or (R, E) for the tokens that batch.wanted names;
  /// graphs: one a layer (ShapeError otherwise). With `all` the states after the embeddings and
  /// after every layer are appended to it. Where degrees are
  /// learned, the graphs say which pairs may be looked at, the gates how much of them passes;
  /// where reaches are drawn, the draws alone.
  Variable forward(const TokenBatch& batch, const LayerGraphs& graphs,
                   const ForwardContext& context, Variables* all = nullptr) const;
  /// The same, in the dtype that the layers compute in.
  Variable computed(const TokenBatch& batch, const LayerGraphs& graphs,
                    const ForwardContext& context, Variables* all = nullptr) const;
  /// Recompute the activations of every layer in the backward pass: less memory, the same bits.
  void set_recompute(bool recompute) { recompute_ = recompute; }
  /// Compute the layers in this dtype: that of the parameters (the default) or, where they are
  /// f32 and on a device that has it, bf16. They stay what they are, as master copies, and so do
  /// the hidden states that forward() gives.
  void set_compute(DType dtype) { compute_ = dtype; }
  DType compute_dtype() const { return compute_.value_or(token_embeddings().dtype()); }
  /// What the layers' attention asks of kernels.
  AttentionUse attention_use() const;
  const EncoderConfig& config() const { return config_; }
  /// What degrees are learned by; null if they are not.
  DegreeLearner* degrees() const { return degrees_.get(); }
  /// The table (V, E) of the input embeddings.
  const Tensor& token_embeddings() const;
  /// The same as the parameter, for a head that shares it.
  const Variable& token_table() const;

 private:
  Variable embed(const TokenBatch& batch, const ForwardContext& context) const;

  EncoderConfig config_;
  bool recompute_ = false;
  std::optional<DType> compute_;
  struct Embeddings final : Module {
    Embeddings(const EncoderConfig& config, DType dtype);
    std::unique_ptr<Embedding> token, position, segment;
    std::unique_ptr<LayerNorm> norm;
  } embeddings_;
  std::vector<std::shared_ptr<EncoderLayer>> layers_;
  std::unique_ptr<LayerNorm> final_norm_;  // pre-norm only
  std::unique_ptr<DegreeLearner> degrees_;
};

/// Truncated normal (standard deviation config.init_std, cut at two of them) for every matrix;
/// biases 0, norms 1. A value depends on (seed, parameter path, index) alone. `seed_of` gives the
/// seed of every path, so that parts of a model can have seeds of their own.
void initialise(Module& module, double std,
                const std::function<uint64_t(const std::string& path)>& seed_of);
void initialise(Module& module, double std, uint64_t seed);

}  // namespace filigree
