#include "autograd/backward.h"

#include <fmt/format.h>
#include <map>
#include <queue>

#include "autograd/function.h"
#include "autograd/nan_locator.h"
#include "autograd/nan_report.h"
#include "autograd/variable_state.h"
#include "core/kernels/accumulate.h"

namespace filigree {

namespace {

/// sum += term, in place where nobody else holds sum's storage.
void accumulate(Tensor& sum, Tensor term) {
  if (!sum.defined()) {
    sum = std::move(term);
    return;
  }
  if (!sum.unique()) sum = sum.clone();
  kernels::accumulate(term, sum);
}

}  // namespace

/// One run of reverse-mode differentiation. Gradients are plain tensors, or variables with history
/// when create_graph is on; both walk the same way.
class Engine {
 public:
  Engine(BackwardOptions options, Variables targets)
      : options_(options), targets_(std::move(targets)), target_grads_(targets_.size()) {
    options_.keep_graph |= options_.create_graph;
  }

  void start(const Variable& root, Variable seed) {
    deliver(root.function(), root.output_index(), root, std::move(seed));
  }

  void run() {
    while (!queue_.empty()) {
      const int64_t number = queue_.top();
      queue_.pop();
      auto node = pending_.extract(number);
      visit(*node.mapped().function, std::move(node.mapped().grads));
    }
  }

  Variables take_target_grads() { return std::move(target_grads_); }

 private:
  struct Pending {
    std::shared_ptr<Function> function;
    Variables grads;  // one an output, undefined until something arrives
  };

  Variable sum(const Variable& a, Variable b) {
    if (!a.defined()) return b;
    if (options_.create_graph) return add_with_history(a, b);
    Tensor total = a.value();
    accumulate(total, b.value());
    return Variable(std::move(total));
  }

  static Variable add_with_history(const Variable& a, const Variable& b) {
    class Add final : public Function {
     public:
      std::string_view name() const override { return "accumulate"; }
      Tensors forward(const Tensors& in) override {
        Tensor total = in[0].clone();
        kernels::accumulate(in[1], total);
        return {total};
      }
      Tensors backward(const Tensors& grad) override { return {grad[0], grad[0]}; }
      Variables backward_graph(const Variables& grad) override { return {grad[0], grad[0]}; }
    };
    return Function::apply<Add>({a, b});
  }

  /// Hands a gradient to a producer's output, or to a leaf.
  void deliver(const std::shared_ptr<Function>& function, int output, const Variable& leaf,
               Variable grad) {
    if (!function) {
      deliver_leaf(leaf, std::move(grad));
      return;
    }
    auto [place, fresh] = pending_.try_emplace(function->number());
    if (fresh) {
      place->second.function = function;
      place->second.grads.resize(function->output_info_.size());
      queue_.push(function->number());
    }
    Variable& slot = place->second.grads[static_cast<size_t>(output)];
    add_into(slot, std::move(grad));
  }

  void add_into(Variable& slot, Variable grad) {
    if (!slot.defined() || options_.create_graph) {
      slot = sum(slot, std::move(grad));
      return;
    }
    Tensor total = std::move(slot.value());
    slot = Variable();
    accumulate(total, grad.value());
    slot = Variable(std::move(total));
  }

  void deliver_leaf(const Variable& leaf, Variable grad) {
    if (!leaf.requires_grad()) return;
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (targets_[i].same(leaf)) add_into(target_grads_[i], grad);
    }
    if (!targets_.empty()) return;
    // Collected per run and added at the end, so that hooks see the whole gradient once.
    auto [place, fresh] = leaf_index_.try_emplace(leaf.state_.get(), leaves_.size());
    if (fresh) leaves_.push_back({leaf, {}});
    add_into(leaves_[place->second].second, std::move(grad));
  }

  void visit(Function& function, Variables grads) {
    for (size_t i = 0; i < grads.size(); ++i) {
      const auto state = function.output_info_[i].state.lock();
      if (!state || !grads[i].defined()) continue;
      run_hooks(state->hooks, grads[i]);
      for (size_t t = 0; t < targets_.size(); ++t) {
        if (targets_[t].state_ == state) target_grads_[t] = grads[i];
      }
    }
    Variables results = options_.create_graph ? function.backward_graph(grads)
                                              : plain_backward(function, std::move(grads));
    if (!options_.keep_graph) function.release_saved();
    if (results.size() > function.edges_.size()) {
      throw GradientError(function.name(),
                          fmt::format("backward returned {} gradients for {} inputs",
                                      results.size(), function.edges_.size()));
    }
    for (size_t i = 0; i < function.edges_.size(); ++i) {
      const Function::Edge& edge = function.edges_[i];
      if (!edge.wanted) continue;
      if (i >= results.size() || !results[i].defined()) {
        throw GradientError(function.name(), fmt::format("gives no gradient for input {}", i));
      }
      check_shape(function, i, results[i]);
      deliver(edge.function, edge.output, edge.leaf, std::move(results[i]));
      results[i] = Variable();
    }
  }

  Variables plain_backward(Function& function, Variables grads) {
    Tensors values;
    for (Variable& grad : grads) {
      values.push_back(grad.defined() ? std::move(grad.value()) : Tensor());
    }
    grads.clear();
    const NoGrad no_grad;
    Tensors results = function.backward(values);
    if (detecting_nan()) report_nan(function, "backward", values, results);
    values.clear();
    Variables wrapped;
    for (Tensor& result : results) {
      wrapped.push_back(result.defined() ? Variable(std::move(result)) : Variable());
    }
    return wrapped;
  }

  static void check_shape(const Function& function, size_t input, const Variable& grad) {
    const Function::Edge& edge = function.edges_[input];
    const Shape& wanted = edge.function
                              ? edge.function->output_info_[static_cast<size_t>(edge.output)].shape
                              : edge.leaf.shape();
    expect_shape(fmt::format("{} backward", function.name()), fmt::format("gradient {}", input),
                 wanted, grad.shape());
  }

  static void run_hooks(const std::vector<Variable::Hook>& hooks, Variable& grad) {
    for (const Variable::Hook& hook : hooks) {
      Tensor replaced = hook(grad.value());
      if (replaced.defined()) grad = Variable(std::move(replaced));
    }
  }

 public:
  /// Adds what arrived to the leaves' grad().
  void finish_leaves() {
    for (auto& [leaf, grad] : leaves_) {
      run_hooks(leaf.state_->hooks, grad);
      Tensor arrived = std::move(grad.value());
      grad = Variable();
      if (!arrived.unique()) arrived = arrived.clone();  // a leaf's gradient is its own
      accumulate(leaf.state_->grad, std::move(arrived));
    }
  }

 private:
  BackwardOptions options_;
  Variables targets_, target_grads_;
  std::priority_queue<int64_t> queue_;
  std::map<int64_t, Pending> pending_;
  std::map<const void*, size_t> leaf_index_;
  std::vector<std::pair<Variable, Variable>> leaves_;  // in order of arrival
};

namespace {

Variable checked_seed(const Variable& root, Variable seed) {
  if (!root.requires_grad()) {
    throw GradientError("backward", "the root has no history that leads to a gradient",
                        "was it computed under NoGrad, or from inputs that want no gradient?");
  }
  if (!seed.defined()) {
    if (root.shape().numel() != 1) {
      throw ShapeError("backward", "expected a scalar root, got shape " + to_string(root.shape()),
                       "sum it, or pass the gradient of the root");
    }
    return Variable(Tensor::full(root.shape(), 1, root.dtype(), root.device()));
  }
  expect_shape("backward", "gradient of the root", root.shape(), seed.shape());
  expect_same_kind("backward", root.value(), seed.value());
  return seed;
}

}  // namespace

void backward(const Variable& root, Tensor seed, BackwardOptions options) {
  Engine engine(options, {});
  engine.start(root, checked_seed(root, seed.defined() ? Variable(std::move(seed)) : Variable()));
  engine.run();
  engine.finish_leaves();
}

void backward_all(const Variables& roots, Tensors seeds) {
  Engine engine({}, {});
  for (size_t i = 0; i < roots.size(); ++i) {
    if (!seeds[i].defined() || !roots[i].requires_grad()) continue;
    engine.start(roots[i], checked_seed(roots[i], Variable(std::move(seeds[i]))));
  }
  engine.run();
  engine.finish_leaves();
}

Variables gradients(const Variable& root, const Variables& inputs, Variable seed,
                    BackwardOptions options) {
  Engine engine(options, inputs);
  engine.start(root, checked_seed(root, std::move(seed)));
  engine.run();
  return engine.take_target_grads();
}

}  // namespace filigree
