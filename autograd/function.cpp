#include "autograd/function.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <utility>

#include "autograd/engine.h"
#include "autograd/nan_locator.h"
#include "autograd/nan_report.h"
#include "autograd/variable_state.h"
#include "core/device_backend.h"

namespace filigree {

namespace {

std::atomic<int64_t> next_number{1};
thread_local std::string current_path;

/// Functions whose last owner is gone, waiting to be taken apart: releasing a long chain one by one
/// from here, instead of each from the destructor of the one before, keeps the stack flat.
thread_local std::vector<std::shared_ptr<Function>>* graveyard = nullptr;

Device device_of(const Tensors& values) {
  return values.empty() || !values.front().defined() ? kCpu : values.front().device();
}

}  // namespace

Function::~Function() {
  std::vector<std::shared_ptr<Function>> mine;
  const bool outermost = graveyard == nullptr;
  if (outermost) graveyard = &mine;
  for (Edge& edge : edges_) {
    if (edge.function) graveyard->push_back(std::move(edge.function));
  }
  if (!outermost) return;
  while (!mine.empty()) {
    const std::shared_ptr<Function> next = std::move(mine.back());
    mine.pop_back();
    // `next` is released here; if this was its last owner, its destructor adds its edges to `mine`.
  }
  graveyard = nullptr;
}

Variables Function::backward_graph(const Variables&) {
  throw GradientError(
      name(), "has no double backward",
      "build the expression from simple ops (the fused op's composite) instead; for "
      "attention choose the reference kernel");
}

Variables Function::run(std::shared_ptr<Function> function, const Variables& inputs) {
  Tensors values;
  values.reserve(inputs.size());
  bool wanted = false;
  for (const Variable& input : inputs) {
    values.push_back(input.defined() ? input.value() : Tensor());
    wanted |= input.requires_grad();
  }
  const bool recorded = (wanted || function->records_always()) && grad_enabled();
  function->recorded_ = recorded;
  function->module_path_ = current_path;
  Tensors outputs;
  {
    const DeviceRange range(device_of(values), current_path, function->name());
    outputs = function->forward(values);
  }
  if (detecting_nan()) report_nan(*function, "forward", values, outputs);

  Variables results;
  results.reserve(outputs.size());
  for (Tensor& output : outputs) results.push_back(Variable(std::move(output)));
  if (!recorded) return results;

  function->number_ = next_number.fetch_add(1);
  for (const Variable& input : inputs) {
    Edge edge;
    edge.wanted = input.requires_grad();
    if (edge.wanted) {
      edge.function = input.function();
      edge.output = input.output_index();
      if (!edge.function) edge.leaf = input;
    }
    function->edges_.push_back(std::move(edge));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    Variable::State& state = *results[i].state_;
    function->output_info_.push_back(
        {state.value.shape(), state.value.dtype(), state.value.device(), results[i].state_});
    if (!is_floating(state.value.dtype())) continue;
    state.requires_grad = true;
    state.function = function;
    state.output_index = static_cast<int>(i);
  }
  return results;
}

void Function::save_for_backward(Tensors tensors) {
  if (recorded_) saved_ = std::move(tensors);
}

const Tensor& Function::saved(size_t i) const {
  if (released_) {
    throw GradientError(name(), "its saved tensors were released by an earlier backward()",
                        "pass keep_graph to every backward() but the last");
  }
  return saved_.at(i);
}

Variable Function::saved_input(size_t s, size_t i) const {
  const Tensor& value = saved(s);
  const Edge& edge = edges_.at(i);
  if (!edge.wanted) return Variable(value);
  if (!edge.function) return edge.leaf;
  return with_history(value, edge.function, edge.output);
}

Variable Function::saved_output(size_t s, size_t i) const {
  auto self = std::const_pointer_cast<Function>(shared_from_this());
  return with_history(saved(s), std::move(self), static_cast<int>(i));
}

Variable Function::with_history(const Tensor& value, std::shared_ptr<Function> function,
                                int output) {
  Variable result(value);
  result.state_->requires_grad = true;
  result.state_->function = std::move(function);
  result.state_->output_index = output;
  return result;
}

bool Function::needs_grad(size_t i) const { return i < edges_.size() && edges_[i].wanted; }

Tensor Function::take_arrived(size_t i) const {
  return needs_grad(i) ? Engine::take_arrived(edges_[i]) : Tensor();
}

void Function::release_saved() {
  saved_.clear();
  released_ = true;
}

ModuleScope::ModuleScope(std::string_view name) : before_(current_path.size()) {
  if (!current_path.empty() && !name.empty()) current_path += '.';
  current_path += name;
}
ModuleScope::~ModuleScope() { current_path.resize(before_); }
const std::string& module_path() { return current_path; }

RestoredModulePath::RestoredModulePath(std::string path)
    : before_(std::exchange(current_path, std::move(path))) {}
RestoredModulePath::~RestoredModulePath() { current_path = std::move(before_); }

}  // namespace filigree
