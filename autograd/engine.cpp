#include "autograd/engine.h"

#include <fmt/format.h>

#include "autograd/nan_locator.h"
#include "autograd/nan_report.h"
#include "autograd/variable_state.h"
#include "core/device_backend.h"
#include "core/kernels/accumulate.h"

namespace filigree {

namespace {

thread_local Engine* under_way = nullptr;

/// sum += term, in place where nobody else holds sum's storage.
void accumulate(Tensor& sum, Tensor term) {
  if (!sum.defined()) {
    sum = std::move(term);
    return;
  }
  if (!sum.unique()) sum = sum.clone();
  kernels::accumulate(term, sum);
}

class Accumulate final : public Function {
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

void expect_like(std::string_view where, std::string_view what, const Shape& shape, DType dtype,
                 Device device, const Tensor& got) {
  expect_shape(where, what, shape, got.shape());
  if (got.dtype() != dtype) throw_dtype(where, name_of(dtype), got.dtype());
  if (got.device() != device) {
    throw DeviceError(where, fmt::format("{} is on another device than its variable", what));
  }
}

void run_hooks(const std::vector<Variable::Hook>& hooks, Variable& grad) {
  for (const Variable::Hook& hook : hooks) {
    Tensor replaced = hook(grad.value());
    if (!replaced.defined()) continue;
    expect_like("hook", "the gradient it returns", grad.shape(), grad.dtype(), grad.device(),
                replaced);
    grad = Variable(std::move(replaced));
  }
}

/// What is under way on this thread, put back at the end.
class UnderWay {
 public:
  explicit UnderWay(Engine* engine) : before_(std::exchange(under_way, engine)) {}
  ~UnderWay() { under_way = before_; }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  Engine* before_;
};

}  // namespace

Engine::Engine(BackwardOptions options, Variables targets)
    : options_(options), targets_(std::move(targets)), target_grads_(targets_.size()) {
  options_.keep_graph |= options_.create_graph;
}

Engine::Engine(Variables targets, int64_t boundary)
    : Engine(BackwardOptions{}, std::move(targets)) {
  around_ = under_way;
  boundary_ = boundary;
}

void Engine::start(const Variable& root, const Variable& seed) {
  if (!root.requires_grad()) {
    throw GradientError("backward", "the root has no history that leads to a gradient",
                        "was it computed under NoGrad, or from inputs that want no gradient?");
  }
  Variable given = seed;
  if (!seed.defined()) {
    if (root.shape().numel() != 1) {
      throw ShapeError("backward", "expected a scalar root, got shape " + to_string(root.shape()),
                       "sum it, or pass the gradient of the root");
    }
    given = Variable(Tensor::full(root.shape(), 1, root.dtype(), root.device()));
  } else {
    expect_like("backward", "gradient of the root", root.shape(), root.dtype(), root.device(),
                seed.value());
    if (!options_.create_graph) given = Variable(seed.value());  // the caller keeps theirs
  }
  deliver(root.function(), root.output_index(), root, std::move(given));
}

void Engine::run() {
  const UnderWay scope(this);
  while (!queue_.empty()) {
    const int64_t number = queue_.top();
    queue_.pop();
    auto node = pending_.extract(number);
    visit(*node.mapped().function, std::move(node.mapped().grads));
  }
}

Variables Engine::take_target_grads() {
  for (size_t i = 0; i < targets_.size(); ++i) {
    Variable& grad = target_grads_[i];
    if (!grad.defined()) continue;
    // A function's output has had its hooks run when the walk came to it.
    if (targets_[i].is_leaf()) run_hooks(targets_[i].state_->hooks, grad);
    if (options_.create_graph) continue;
    Tensor own = std::move(grad.value());
    grad = Variable();
    grad = Variable(own.unique() ? std::move(own) : own.clone());
  }
  return std::move(target_grads_);
}

void Engine::finish_leaves() {
  for (auto& [leaf, grad] : leaves_) {
    run_hooks(leaf.state_->hooks, grad);
    Tensor arrived = std::move(grad.value());
    grad = Variable();
    if (!arrived.unique()) arrived = arrived.clone();  // a leaf's gradient is its own
    accumulate(leaf.state_->grad, std::move(arrived));
  }
}

/// Hands a gradient to a producer's output, or to a leaf.
void Engine::deliver(const std::shared_ptr<Function>& function, int output, const Variable& leaf,
                     Variable grad) {
  if (!function) {
    deliver_leaf(leaf, std::move(grad));
    return;
  }
  if (around_ && function->number() <= boundary_) {
    around_->deliver(function, output, leaf, std::move(grad));
    return;
  }
  auto [place, fresh] = pending_.try_emplace(function->number());
  if (fresh) {
    place->second.function = function;
    place->second.grads.resize(function->output_info_.size());
    queue_.push(function->number());
  }
  add_into(place->second.grads[static_cast<size_t>(output)], std::move(grad));
}

void Engine::deliver_leaf(const Variable& leaf, Variable grad) {
  if (!leaf.requires_grad()) return;
  bool mine = false;
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (!targets_[i].same(leaf)) continue;
    add_into(target_grads_[i], options_.create_graph ? grad : Variable(grad.value()));
    mine = true;
  }
  if (mine) return;
  if (around_) {
    around_->deliver_leaf(leaf, std::move(grad));
    return;
  }
  if (!targets_.empty()) return;
  // Collected per run and added at the end, so that hooks see the whole gradient once.
  auto [place, fresh] = leaf_index_.try_emplace(leaf.state_.get(), leaves_.size());
  if (fresh) leaves_.push_back({leaf, {}});
  add_into(leaves_[place->second].second, std::move(grad));
}

void Engine::add_into(Variable& slot, Variable grad) const {
  if (!slot.defined()) {
    slot = std::move(grad);
  } else if (options_.create_graph) {
    slot = Function::apply<Accumulate>({slot, grad});
  } else {
    Tensor total = std::move(slot.value());
    slot = Variable();
    accumulate(total, grad.value());
    slot = Variable(std::move(total));
  }
}

Variable* Engine::slot_of(const Function::Edge& edge) {
  if (edge.function) {
    const auto place = pending_.find(edge.function->number());
    return place == pending_.end() ? nullptr
                                   : &place->second.grads[static_cast<size_t>(edge.output)];
  }
  Variable* slot = nullptr;
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (!targets_[i].same(edge.leaf)) continue;
    if (slot) return nullptr;
    slot = &target_grads_[i];
  }
  return slot;
}

Tensor Engine::take_arrived(const Function::Edge& edge) {
  if (!under_way || under_way->options_.create_graph) return {};
  Variable* const slot = under_way->slot_of(edge);
  if (!slot || !slot->defined()) return {};
  Tensor arrived = std::move(slot->value());
  *slot = Variable();
  if (arrived.unique()) return arrived;
  *slot = Variable(std::move(arrived));
  return {};
}

/// Runs the hooks of a function's outputs and notes the gradients of those that are targets.
void Engine::reach_outputs(Function& function, Variables& grads) {
  for (size_t i = 0; i < grads.size(); ++i) {
    const auto state = function.output_info_[i].state.lock();
    if (!state || !grads[i].defined()) continue;
    run_hooks(state->hooks, grads[i]);
    for (size_t t = 0; t < targets_.size(); ++t) {
      if (targets_[t].state_ != state) continue;
      target_grads_[t] = options_.create_graph ? grads[i] : Variable(grads[i].value());
    }
  }
}

void Engine::visit(Function& function, Variables grads) {
  reach_outputs(function, grads);
  Variables results = options_.create_graph ? function.backward_graph(grads)
                                            : plain_backward(function, std::move(grads));
  if (!options_.keep_graph) function.release_saved();
  if (results.size() > function.edges_.size()) {
    throw GradientError(function.name(), fmt::format("backward returned {} gradients for {} inputs",
                                                     results.size(), function.edges_.size()));
  }
  for (size_t i = 0; i < function.edges_.size(); ++i) {
    const Function::Edge& edge = function.edges_[i];
    if (!edge.wanted) continue;
    if (i >= results.size() || !results[i].defined()) {
      throw GradientError(function.name(), fmt::format("gives no gradient for input {}", i));
    }
    const std::string where = fmt::format("{} backward", function.name());
    const std::string what = fmt::format("gradient {}", i);
    if (edge.function) {
      const auto& info = edge.function->output_info_[static_cast<size_t>(edge.output)];
      expect_like(where, what, info.shape, info.dtype, info.device, results[i].value());
    } else {
      expect_like(where, what, edge.leaf.shape(), edge.leaf.dtype(), edge.leaf.device(),
                  results[i].value());
    }
    deliver(edge.function, edge.output, edge.leaf, std::move(results[i]));
    results[i] = Variable();
  }
}

Variables Engine::plain_backward(Function& function, Variables grads) {
  Tensors values;
  for (Variable& grad : grads) {
    values.push_back(grad.defined() ? std::move(grad.value()) : Tensor());
  }
  grads.clear();
  const NoGrad no_grad;
  const DeviceRange range(function.output_info_.front().device, function.module_path(),
                          function.name(), "backward");
  Tensors results = function.backward(values);
  if (detecting_nan()) report_nan(function, "backward", values, results);
  values.clear();
  Variables wrapped;
  for (Tensor& result : results) {
    wrapped.push_back(result.defined() ? Variable(std::move(result)) : Variable());
  }
  return wrapped;
}

}  // namespace filigree
