// DegreeLearner: what decides, softly, how far the heads of an encoder look.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/degrees/degree_config.h"
#include "nn/degrees/layer_degrees.h"
#include "nn/module.h"

namespace filigree {

/// The shape that a learner works in.
struct DegreeShape {
  int64_t layers = 0, heads = 0;  ///< L, and H of each
  DegreeConfig config;

  /// Rows of parameters: L H, L or 1, as is shared.
  int64_t rows() const;
};

/// Base of learners. Parameters are rows over heads (DegreeShape::rows()); a gate is a function of
/// them. A learner is one file and a line in the table of degree_learner.cpp.
class DegreeLearner : public Module {
 public:
  /// g (H, R+1) of a layer's heads, in [0, 1]: how much of the attention at distance d passes;
  /// entry 0 is 1. Random numbers, if there are any, are keyed by the context; without training
  /// there are none.
  Variable gate(int layer, const ForwardContext& context) const;
  /// What the learner does to a layer's attention: its gate, or, where degrees are drawn, the
  /// ensemble.
  LayerDegrees layer(int layer, std::shared_ptr<const AlwaysOn> always,
                     const ForwardContext& context) const;
  /// Those of all layers, with what is learned from on a device: it goes there, and its gradient
  /// comes back, as one copy.
  std::vector<LayerDegrees> layers(std::shared_ptr<const AlwaysOn> always,
                                   const ForwardContext& context, Device device) const;
  /// What density is counted by (H, R+1): the gate without noise, or, of a learner whose noise
  /// closes gates, the probability that a distance is open.
  Variable open(int layer) const;
  /// H(p), the mean entropy of the heads' distributions in nats, a scalar; undefined of a learner
  /// that has none.
  virtual Variable mean_entropy() const { return {}; }
  /// The gates of all heads without noise, layer by layer: (L H) of (R+1).
  std::vector<std::vector<double>> tails() const;
  /// Puts parameters back into their range after a step of an optimizer.
  virtual void project() {}

  const DegreeShape& shape() const { return shape_; }

 protected:
  explicit DegreeLearner(DegreeShape shape) : shape_(std::move(shape)) {}

 private:
  /// The gates (rows, R+1) of rows [first, first + count) of the parameters; `layer` is part of the
  /// key of random numbers.
  virtual Variable gates(int64_t first, int64_t count, int layer,
                         const ForwardContext& context) const = 0;
  /// Logits (count, K) of rows of the parameters, and their reaches; nothing of a learner without a
  /// distribution.
  virtual std::optional<IrregularDegrees> distribution(int64_t, int64_t) const { return {}; }
  /// As open(), of rows of the parameters.
  virtual Variable open_gates(int64_t first, int64_t count) const {
    return gates(first, count, 0, {});
  }
  /// The rows of a layer's heads, from a function of some rows.
  Variable of_heads(int layer,
                    const std::function<Variable(int64_t first, int64_t count)>& rows) const;
  DegreeShape shape_;
};

struct DegreeLearnerKind {
  std::string_view name, summary;
  bool draws = false;  ///< has a distribution that tokens can draw from
  std::function<std::unique_ptr<DegreeLearner>(const DegreeShape& shape, DType dtype)> make;
};
std::span<const DegreeLearnerKind> degree_learners();

/// Throws ConfigError for an unknown learner, share or start (with the nearest name), a reach that
/// is not from 1 to 2^24, and draws of a learner that has nothing to draw from.
void expect_sound(const DegreeConfig& config);
/// Parameters stand at config.start. Throws as expect_sound().
std::unique_ptr<DegreeLearner> make_degree_learner(const DegreeShape& shape, DType dtype);

/// One maker each, a file each.
DegreeLearnerKind softmax_degrees();
DegreeLearnerKind adaptive_span();
DegreeLearnerKind free_offsets();
DegreeLearnerKind head_gates();

}  // namespace filigree
