// Optimizers: state is allocated from the parameter list at once, saved and loaded by name.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nn/module.h"

namespace filigree {

/// Base of optimizers. Parameters without a gradient are left alone in a step.
class Optimizer {
 public:
  /// Throws ConfigError if two parameters share a name or are the same variable.
  explicit Optimizer(NamedParameters parameters);
  virtual ~Optimizer() = default;

  /// One step with a learning rate; every gradient is multiplied by gradient_scale first.
  void step(double learning_rate, double gradient_scale = 1) {
    update(learning_rate, gradient_scale, {});
  }
  /// The same by what judge() gave, which the host need not know: nothing is changed where that is
  /// not finite. When the host has learnt that it was not, take_back() is to follow, before the
  /// next step.
  void step(double learning_rate, const Tensor& numbers) {
    update(learning_rate, 1, numbers.slice(2, 1));
  }
  /// As if the last step had not been asked for; it changed nothing.
  virtual void take_back() {}
  /// The learning rate of every parameter is multiplied by its factor from now on (>= 0). AdamW's
  /// decay, which is a share of the rate, too.
  void set_rate_factors(const std::function<double(const std::string& name)>& factor_of);
  /// Euclidean norm of all gradients together, summed in double in a fixed order.
  double gradient_norm() const;
  /// {square of gradient_norm(), sum of the losses (scalars), factor} f64 (3), where the parameters
  /// are and without waiting for them. The factor scales gradients down to a norm of `clip` (0: no
  /// limit), and is NaN where norm or loss is not finite.
  Tensor judge(std::span<const Tensor> losses, double clip) const;
  void zero_grad();

  /// Step counter and moments by name ("adamw.m.encoder..."). Loading is strict (CheckpointError).
  virtual StateDict state_dict() const = 0;
  virtual void load_state_dict(const StateDict& state) = 0;

 protected:
  /// scale: a scalar, f64, that counts instead of gradient_scale where it is defined.
  virtual void update(double learning_rate, double gradient_scale, const Tensor& scale) = 0;
  /// Copies `wanted` tensors out of state, checking names, shapes and dtypes.
  static void load_strict(const StateDict& state, StateDict& wanted);
  /// `decay` for what decays, else 0.
  double decay_of(size_t k, double decay) const;
  /// The parameter's learning rate, where `rate` is the common one.
  double rate_of(size_t k, double rate) const { return rate_factors_[k] * rate; }
  NamedParameters parameters_;

 private:
  Device device() const { return parameters_.empty() ? kCpu : parameters_.front().value.device(); }
  void sum_squares(Tensor& squares) const;

  std::vector<double> rate_factors_;  // (parameters)
};

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
};
/// Throws ConfigError unless both betas are in [0, 1) in the parameters' dtype, eps > 0 and the
/// decay is not negative.
/// AdamW (Loshchilov and Hutter, arXiv 1711.05101), decay on weights only.
std::unique_ptr<Optimizer> make_adamw(NamedParameters parameters, const AdamWOptions& options = {});

struct SgdOptions {
  double momentum = 0, weight_decay = 0;
};
std::unique_ptr<Optimizer> make_sgd(NamedParameters parameters, const SgdOptions& options = {});

}  // namespace filigree
