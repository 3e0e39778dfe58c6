#include "nn/optimizer.h"

#include <cmath>
#include <fmt/format.h>

#include "core/error.h"
#include "core/kernels/accumulate.h"
#include "core/kernels/optimizer.h"
#include "core/kernels/reduce.h"

namespace filigree {

Optimizer::Optimizer(NamedParameters parameters)
    : parameters_(std::move(parameters)), rate_factors_(parameters_.size(), 1.0) {
  for (size_t k = 0; k < parameters_.size(); ++k) {
    for (size_t other = 0; other < k; ++other) {
      const bool one = parameters_[k].name == parameters_[other].name ||
                       parameters_[k].value.same(parameters_[other].value);
      if (!one) continue;
      throw ConfigError("optimizer",
                        fmt::format("\"{}\" and \"{}\" are one parameter", parameters_[other].name,
                                    parameters_[k].name),
                        "give it each parameter once, under a name of its own");
    }
  }
}

void Optimizer::set_rate_factors(const std::function<double(const std::string& name)>& factor_of) {
  for (size_t k = 0; k < parameters_.size(); ++k) {
    const double factor = factor_of(parameters_[k].name);
    if (!(factor >= 0)) {
      throw ConfigError("optimizer", fmt::format("expected a rate factor of 0 or more for {}, got "
                                                 "{}",
                                                 parameters_[k].name, factor));
    }
    rate_factors_[k] = factor;
  }
}

double Optimizer::decay_of(size_t k, double decay) const {
  return parameters_[k].kind == ParameterKind::weight ? decay : 0;
}

void Optimizer::sum_squares(Tensor& squares) const {
  Tensors gradients;
  for (const auto& [name, parameter, kind] : parameters_) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  kernels::sum_squares(squares, gradients);
}

double Optimizer::gradient_norm() const {
  Tensor squares({}, DType::f64, device());
  sum_squares(squares);
  return std::sqrt(squares.item());
}

Tensor Optimizer::judge(std::span<const Tensor> losses, double clip) const {
  Tensor numbers = Tensor::zeros({3}, DType::f64, device());
  Tensor squares = numbers.slice(0, 1).view({}), total = numbers.slice(1, 1).view({});
  sum_squares(squares);
  for (const Tensor& loss : losses) kernels::accumulate(loss.to(DType::f64).to(device()), total);
  kernels::judge_step(numbers, clip);
  return numbers;
}

void Optimizer::zero_grad() {
  for (auto& [name, parameter, kind] : parameters_) parameter.zero_grad();
}

void Optimizer::load_strict(const StateDict& state, StateDict& wanted) {
  std::string faults;
  for (const auto& [name, tensor] : wanted) {
    const auto found = state.find(name);
    if (found == state.end()) {
      faults += "\n  missing    " + name;
    } else if (found->second.shape() != tensor.shape() || found->second.dtype() != tensor.dtype()) {
      faults += fmt::format("\n  misshapen  {}: expected {}, got {}", name, describe(tensor),
                            describe(found->second));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (!wanted.count(name)) faults += "\n  unexpected " + name;
  }
  if (!faults.empty()) throw CheckpointError("optimizer state", "does not fit the model:" + faults);
  for (auto& [name, tensor] : wanted) tensor.copy_from(state.at(name));
}

namespace {

Tensor zeros_like(const Variable& x) { return Tensor::zeros(x.shape(), x.dtype(), x.device()); }

/// Betas that round to 1 would divide by 0.
void expect_sound(const AdamWOptions& options, DType dtype) {
  dispatch_float("adamw", dtype, [&]<class T>() {
    for (const double beta : {options.beta1, options.beta2}) {
      if (beta >= 0 && static_cast<T>(beta) < T(1)) continue;
      throw ConfigError("adamw",
                        fmt::format("beta {} is not in [0, 1) in {}", beta, name_of(dtype)),
                        "take 0.9 and 0.999, or so");
    }
    if (!(static_cast<T>(options.eps) > 0) || !(options.weight_decay >= 0)) {
      throw ConfigError("adamw", fmt::format("eps {} must be above 0 and weight decay {} not below",
                                             options.eps, options.weight_decay));
    }
  });
}

class AdamW final : public Optimizer {
 public:
  AdamW(NamedParameters parameters, const AdamWOptions& options)
      : Optimizer(std::move(parameters)), options_(options) {
    for (const auto& [name, parameter, kind] : parameters_) {
      expect_sound(options_, parameter.dtype());
      m_.push_back(zeros_like(parameter));
      v_.push_back(zeros_like(parameter));
    }
  }
  void take_back() override { --steps_.data<int64_t>()[0]; }
  void update(double learning_rate, double gradient_scale, const Tensor& scale) override {
    ++steps_.data<int64_t>()[0];
    std::vector<AdamWParameter> all;
    for (size_t k = 0; k < parameters_.size(); ++k) {
      Variable& parameter = parameters_[k].value;
      if (!parameter.grad().defined()) continue;
      all.push_back({parameter.grad(), parameter.value(), m_[k], v_[k], rate_of(k, learning_rate),
                     decay_of(k, options_.weight_decay)});
    }
    if (all.empty()) return;
    kernels::adamw(all.front().weight, all,
                   {options_.beta1, options_.beta2, options_.eps, steps_.data<int64_t>()[0],
                    gradient_scale, scale});
  }
  StateDict state_dict() const override {
    StateDict state{{"adamw.steps", steps_}};
    for (size_t k = 0; k < parameters_.size(); ++k) {
      state["adamw.m." + parameters_[k].name] = m_[k];
      state["adamw.v." + parameters_[k].name] = v_[k];
    }
    return state;
  }
  void load_state_dict(const StateDict& state) override {
    StateDict mine = state_dict();
    load_strict(state, mine);
  }

 private:
  AdamWOptions options_;
  Tensor steps_ = Tensor::zeros({1}, DType::i64);
  Tensors m_, v_;
};

class Sgd final : public Optimizer {
 public:
  Sgd(NamedParameters parameters, const SgdOptions& options)
      : Optimizer(std::move(parameters)), options_(options) {
    for (const auto& [name, parameter, kind] : parameters_)
      velocity_.push_back(zeros_like(parameter));
  }
  void update(double learning_rate, double gradient_scale, const Tensor& scale) override {
    for (size_t k = 0; k < parameters_.size(); ++k) {
      Variable& parameter = parameters_[k].value;
      if (!parameter.grad().defined()) continue;
      const SgdStep step{rate_of(k, learning_rate), options_.momentum,
                         decay_of(k, options_.weight_decay), gradient_scale, scale};
      kernels::sgd(parameter.grad(), step, parameter.value(), velocity_[k]);
    }
  }
  StateDict state_dict() const override {
    StateDict state;
    for (size_t k = 0; k < parameters_.size(); ++k) {
      state["sgd.velocity." + parameters_[k].name] = velocity_[k];
    }
    return state;
  }
  void load_state_dict(const StateDict& state) override {
    StateDict mine = state_dict();
    load_strict(state, mine);
  }

 private:
  SgdOptions options_;
  Tensors velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(NamedParameters parameters, const AdamWOptions& options) {
  return std::make_unique<AdamW>(std::move(parameters), options);
}
std::unique_ptr<Optimizer> make_sgd(NamedParameters parameters, const SgdOptions& options) {
  return std::make_unique<Sgd>(std::move(parameters), options);
}

}  // namespace filigree
