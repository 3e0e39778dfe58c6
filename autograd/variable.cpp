#include "autograd/variable.h"

#include <fmt/format.h>

#include "autograd/function.h"
#include "autograd/variable_state.h"

namespace filigree {

namespace {

thread_local bool recording = true;

const std::shared_ptr<Function> kNoFunction;

}  // namespace

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<State>()) {
  expect_defined("variable", "value", value);
  state_->value = std::move(value);
  if (requires_grad) set_requires_grad(true);
}

const Tensor& Variable::value() const {
  if (!state_) throw ShapeError("variable", "is undefined");
  return state_->value;
}
Tensor& Variable::value() { return const_cast<Tensor&>(std::as_const(*this).value()); }

const Tensor& Variable::grad() const {
  if (!state_) throw ShapeError("variable", "is undefined");
  return state_->grad;
}
Tensor& Variable::grad() { return const_cast<Tensor&>(std::as_const(*this).grad()); }

void Variable::zero_grad() { grad() = Tensor(); }

bool Variable::requires_grad() const { return state_ && state_->requires_grad; }

void Variable::set_requires_grad(bool wanted) {
  if (!is_leaf()) {
    throw GradientError(name().empty() ? "variable" : name(),
                        "only a leaf can be told whether it wants a gradient",
                        "use detach() to cut the history");
  }
  if (wanted && !is_floating(value().dtype())) {
    throw DTypeError("variable", fmt::format("only floating tensors have gradients, got {}",
                                             name_of(value().dtype())));
  }
  state_->requires_grad = wanted;
}

const std::shared_ptr<Function>& Variable::function() const {
  return state_ ? state_->function : kNoFunction;
}

int Variable::output_index() const { return state_ ? state_->output_index : 0; }

Variable Variable::detach() const { return Variable(value()); }

const std::string& Variable::name() const {
  static const std::string kUnnamed;
  return state_ ? state_->name : kUnnamed;
}

void Variable::set_name(std::string name) {
  value();  // throws if undefined
  state_->name = std::move(name);
}

void Variable::add_hook(Hook hook) {
  if (!requires_grad()) {
    throw GradientError("add_hook", "the variable wants no gradient, so no hook would ever run");
  }
  state_->hooks.push_back(std::move(hook));
}

NoGrad::NoGrad() : before_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = before_; }
EnableGrad::EnableGrad() : before_(recording) { recording = true; }
EnableGrad::~EnableGrad() { recording = before_; }
bool grad_enabled() { return recording; }

}  // namespace filigree
