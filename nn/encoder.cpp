#include "nn/encoder.h"

#include <fmt/format.h>

#include "autograd/checkpoint.h"
#include "autograd/function.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/select_rows.h"
#include "autograd/ops/shape.h"
#include "core/error.h"
#include "core/random.h"

namespace filigree {

SelfAttention::SelfAttention(const EncoderConfig& config, int layer, DType dtype)
    : dropout_(config.attention_dropout),
      layer_(layer),
      query_key_value_(config.width, 3 * config.width, dtype),
      output_(config.width, config.width, dtype) {
  add_child("query_key_value", query_key_value_);
  add_child("output", output_);
  if (config.relative_bias > 0) {
    relative_bias_ = add_parameter("relative_bias", {config.heads, 2 * config.relative_bias + 1},
                                   dtype, ParameterKind::offset);
  }
}

Variable SelfAttention::attend(const Variable& x,
                               const std::shared_ptr<const AttentionGraph>& graph,
                               const LayerDegrees& degrees, const ForwardContext& context) const {
  const ModuleScope scope("attention");
  AttentionOptions options;
  options.dropout = context.training ? dropout_ : 0;
  options.seed = context.seed;
  options.step = context.step;
  options.layer = layer_;
  const Variable qkv = query_key_value_.forward(x);
  const Variable bias = in_dtype(relative_bias_, x.dtype());
  if (context.attention) (*context.attention)(layer_, qkv, bias);
  if (degrees.ensemble) {
    return irregular_attention_qkv(qkv, graph->offsets(), *degrees.ensemble, options, bias);
  }
  if (degrees.gate.g.defined()) {
    const Variable g = in_dtype(degrees.gate.g, x.dtype());
    return gated_attention_qkv(qkv, graph, {g, degrees.gate.always}, options, bias);
  }
  return sparse_attention_qkv(qkv, graph, options, bias);
}

Variable SelfAttention::project(const Variable& heads) const {
  const ModuleScope scope("attention");
  return output_.forward(heads);
}

FeedForward::FeedForward(const EncoderConfig& config, DType dtype)
    : activation_(config.activation),
      input_(config.width, config.ffn, dtype),
      output_(config.ffn, config.width, dtype) {
  add_child("input", input_);
  add_child("output", output_);
}

Variable FeedForward::forward(const Variable& x) const {
  const ModuleScope scope("feed_forward");
  return output_.forward(activate(input_.forward(x), activation_));
}

EncoderLayer::EncoderLayer(const EncoderConfig& config, int layer, DType dtype)
    : config_(config),
      attention_(config, layer, dtype),
      attention_norm_(config.width, config.norm_eps, dtype),
      feed_forward_(config, dtype),
      feed_forward_norm_(config.width, config.norm_eps, dtype) {
  add_child("attention", attention_);
  add_child("attention_norm", attention_norm_);
  add_child("feed_forward", feed_forward_);
  add_child("feed_forward_norm", feed_forward_norm_);
}

Variable EncoderLayer::forward(const Variable& x,
                               const std::shared_ptr<const AttentionGraph>& graph,
                               const LayerDegrees& degrees, const ForwardContext& context,
                               const Tensor& wanted) const {
  const KeyedDropout after_attention = dropout_at(config_.dropout, context, "attention_dropout");
  const KeyedDropout after_feed_forward =
      dropout_at(config_.dropout, context, "feed_forward_dropout");
  const bool pre = config_.norm == NormPlacement::pre;
  Variables rows{x,
                 attention_.attend(pre ? attention_norm_.forward(x) : x, graph, degrees, context)};
  if (wanted.defined()) rows = select_rows(rows, wanted);
  const Variable branch = attention_.project(rows[1]);
  if (!pre) {
    const Variable attended = attention_norm_.forward(rows[0], branch, after_attention)[1];
    return feed_forward_norm_.forward(attended, feed_forward_.forward(attended),
                                      after_feed_forward)[1];
  }
  const Variables attended = feed_forward_norm_.forward(rows[0], branch, after_attention);
  return add(attended[0], dropout(feed_forward_.forward(attended[1]), after_feed_forward.p,
                                  after_feed_forward.key));
}

Encoder::Embeddings::Embeddings(const EncoderConfig& config, DType dtype)
    : token(std::make_unique<Embedding>(config.vocabulary, config.width, dtype)) {
  add_child("token", *token);
  if (config.max_positions > 0) {
    position = std::make_unique<Embedding>(config.max_positions, config.width, dtype);
    add_child("position", *position);
  }
  if (config.segments > 0) {
    segment = std::make_unique<Embedding>(config.segments, config.width, dtype);
    add_child("segment", *segment);
  }
  if (config.norm == NormPlacement::post) {
    norm = std::make_unique<LayerNorm>(config.width, config.norm_eps, dtype);
    add_child("norm", *norm);
  }
}

Encoder::Encoder(const EncoderConfig& config, DType dtype)
    : config_((config.validate(), config)), embeddings_(config, dtype) {
  add_child("embeddings", embeddings_);
  for (int l = 0; l < config.layers; ++l) {
    layers_.push_back(std::make_shared<EncoderLayer>(config, l, dtype));
    add_child(fmt::format("layers.{}", l), *layers_.back());
  }
  if (config.norm == NormPlacement::pre) {
    final_norm_ = std::make_unique<LayerNorm>(config.width, config.norm_eps, dtype);
    add_child("final_norm", *final_norm_);
  }
  if (config.degrees.learned()) {
    degrees_ = make_degree_learner({config.layers, config.heads, config.degrees}, dtype);
    add_child("degrees", *degrees_);
  }
}

AttentionUse Encoder::attention_use() const {
  return {compute_dtype(), config_.width / config_.heads,
          config_.relative_bias > 0 || degrees_ != nullptr, AttentionKernel::automatic,
          degrees_ && config_.degrees.draws ? config_.degrees.reach : -1};
}

const Variable& Encoder::token_table() const { return embeddings_.token->weight(); }
const Tensor& Encoder::token_embeddings() const { return token_table().value(); }

Variable Encoder::embed(const TokenBatch& batch, const ForwardContext& context) const {
  const ModuleScope scope("embeddings");
  Variable x = embeddings_.token->forward(batch.ids);
  if (embeddings_.position) {
    Tensor positions = batch.positions;
    if (config_.position_offset != 0) {
      positions = positions.clone();
      for (int32_t& p : positions.span<int32_t>()) {
        p += static_cast<int32_t>(config_.position_offset);
      }
    }
    x = add(x, embeddings_.position->forward(positions));
  }
  if (embeddings_.segment) {
    const bool several = config_.segments > 1 && batch.segments.defined();
    const Tensor segments = several ? batch.segments : Tensor::zeros(batch.ids.shape(), DType::i32);
    x = add(x, embeddings_.segment->forward(segments));
  }
  if (embeddings_.norm) x = embeddings_.norm->forward(x);
  return apply_dropout(x, config_.dropout, context, "dropout");
}

Variable Encoder::forward(const TokenBatch& batch, const LayerGraphs& graphs,
                          const ForwardContext& context, Variables* all) const {
  return in_dtype(computed(batch, graphs, context, all), token_table().dtype());
}

Variable Encoder::computed(const TokenBatch& batch, const LayerGraphs& graphs,
                           const ForwardContext& context, Variables* all) const {
  if (graphs.size() != layers_.size()) {
    throw ShapeError("encoder", fmt::format("expected a graph for each of {} layers, got {}",
                                            layers_.size(), graphs.size()));
  }
  const ModuleScope scope("encoder");
  Variable x = in_dtype(embed(batch, context), compute_dtype());
  if (all) all->push_back(x);
  if (x.dtype() != token_table().dtype()) make_rounded(x.dtype());  // before layers ask for theirs
  std::vector<LayerDegrees> learned(layers_.size());
  if (degrees_) learned = degrees_->layers(batch.always, context, x.device());
  for (size_t l = 0; l < layers_.size(); ++l) {
    const ModuleScope layer_scope(fmt::format("layers.{}", l));
    const std::shared_ptr<const EncoderLayer> layer = layers_[l];  // the graph may outlive us
    LayerDegrees& degrees = learned[l];
    const Tensor wanted = l + 1 == layers_.size() ? batch.wanted : Tensor();
    if (recompute_ && grad_enabled()) {
      Variables inputs{x};
      if (degrees_) inputs.push_back(degrees.parameter());
      x = checkpoint(
          [layer, graph = graphs[l], degrees, context,
           wanted](const Variables& in) mutable -> Variables {
            if (in.size() > 1) degrees.parameter() = in[1];
            return {layer->forward(in[0], graph, degrees, context, wanted)};
          },
          inputs)[0];
    } else {
      x = layer->forward(x, graphs[l], degrees, context, wanted);
    }
    if (all) all->push_back(x);
  }
  if (layers_.empty() && batch.wanted.defined()) x = select_rows({x}, batch.wanted)[0];
  if (final_norm_) x = final_norm_->forward(x);
  return x;
}

void initialise(Module& module, double std, uint64_t seed) {
  initialise(module, std, [seed](const std::string&) { return seed; });
}

void initialise(Module& module, double std,
                const std::function<uint64_t(const std::string&)>& seed_of) {
  for (NamedParameter& parameter : module.named_parameters()) {
    if (parameter.kind != ParameterKind::weight) continue;
    RandomStream random(seed_of(parameter.name), Purpose::init, {hash_name(parameter.name)});
    dispatch_float("initialise", parameter.value.dtype(), [&]<class T>() {
      for (T& value : parameter.value.value().template span<T>()) {
        double drawn = 0;
        do {
          drawn = random.normal();
        } while (drawn < -2 || drawn > 2);
        value = static_cast<T>(drawn * std);
      }
    });
  }
}

}  // namespace filigree
