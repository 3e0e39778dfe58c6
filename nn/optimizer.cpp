#include "nn/optimizer.h"

#include <cmath>
#include <fmt/format.h>

#include "core/error.h"
#include "core/kernels/optimizer.h"
#include "core/kernels/reduce.h"

namespace filigree {

double Optimizer::gradient_norm() const {
  Tensor squares = Tensor::zeros({}, DType::f64);
  for (const auto& [name, parameter] : parameters_) {
    if (parameter.grad().defined()) kernels::add_squares(parameter.grad(), squares);
  }
  return std::sqrt(squares.item());
}

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.zero_grad();
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

bool decays(const Variable& parameter) { return parameter.shape().rank() >= 2; }

namespace {

Tensor zeros_like(const Variable& x) { return Tensor::zeros(x.shape(), x.dtype(), x.device()); }

class AdamW final : public Optimizer {
 public:
  AdamW(NamedParameters parameters, const AdamWOptions& options)
      : Optimizer(std::move(parameters)), options_(options) {
    for (const auto& [name, parameter] : parameters_) {
      m_.push_back(zeros_like(parameter));
      v_.push_back(zeros_like(parameter));
    }
  }
  void step(double learning_rate, double gradient_scale) override {
    ++steps_.data<int64_t>()[0];
    for (size_t k = 0; k < parameters_.size(); ++k) {
      Variable& parameter = parameters_[k].second;
      if (!parameter.grad().defined()) continue;
      const AdamWStep step{learning_rate,
                           options_.beta1,
                           options_.beta2,
                           options_.eps,
                           decays(parameter) ? options_.weight_decay : 0,
                           steps_.data<int64_t>()[0],
                           gradient_scale};
      kernels::adamw(parameter.grad(), step, parameter.value(), m_[k], v_[k]);
    }
  }
  StateDict state_dict() const override {
    StateDict state{{"adamw.steps", steps_}};
    for (size_t k = 0; k < parameters_.size(); ++k) {
      state["adamw.m." + parameters_[k].first] = m_[k];
      state["adamw.v." + parameters_[k].first] = v_[k];
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
    for (const auto& [name, parameter] : parameters_) velocity_.push_back(zeros_like(parameter));
  }
  void step(double learning_rate, double gradient_scale) override {
    for (size_t k = 0; k < parameters_.size(); ++k) {
      Variable& parameter = parameters_[k].second;
      if (!parameter.grad().defined()) continue;
      const SgdStep step{learning_rate, options_.momentum,
                         decays(parameter) ? options_.weight_decay : 0, gradient_scale};
      kernels::sgd(parameter.grad(), step, parameter.value(), velocity_[k]);
    }
  }
  StateDict state_dict() const override {
    StateDict state;
    for (size_t k = 0; k < parameters_.size(); ++k) {
      state["sgd.velocity." + parameters_[k].first] = velocity_[k];
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

std::unique_ptr<Optimizer> make_adamw(Optimizer::NamedParameters parameters,
                                      const AdamWOptions& options) {
  return std::make_unique<AdamW>(std::move(parameters), options);
}
std::unique_ptr<Optimizer> make_sgd(Optimizer::NamedParameters parameters,
                                    const SgdOptions& options) {
  return std::make_unique<Sgd>(std::move(parameters), options);
}

}  // namespace filigree
