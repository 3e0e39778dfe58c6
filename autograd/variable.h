// Variable: a tensor that remembers how it was computed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace filigree {

class Function;

/// A tensor plus its place in the graph of computations. Copies share everything (value, gradient,
/// history), like a shared_ptr. A *leaf* has no history: a parameter or an input.
class Variable {
 public:
  Variable() = default;
  /// A leaf. Throws DTypeError if a gradient is wanted for an integer tensor.
  explicit Variable(Tensor value, bool requires_grad = false);

  bool defined() const { return state_ != nullptr; }
  const Tensor& value() const;
  Tensor& value();
  const Shape& shape() const { return value().shape(); }
  DType dtype() const { return value().dtype(); }
  Device device() const { return value().device(); }

  /// Undefined until a backward() reached this leaf. Accumulates over backward() calls.
  const Tensor& grad() const;
  Tensor& grad();
  /// Forgets the gradient and frees its memory.
  void zero_grad();

  bool requires_grad() const;
  /// Leaves only; throws GradientError otherwise.
  void set_requires_grad(bool wanted);
  bool is_leaf() const { return function() == nullptr; }
  /// The function that computed this, and which of its outputs this is; null for a leaf.
  const std::shared_ptr<Function>& function() const;
  int output_index() const;
  /// The same value, without history.
  Variable detach() const;

  /// Name for messages and graphs, e.g. the parameter path.
  const std::string& name() const;
  void set_name(std::string name);
  /// Called with the complete gradient of this variable in every backward(); a defined result
  /// replaces the gradient. Several hooks run in the order they were added.
  using Hook = std::function<Tensor(const Tensor& grad)>;
  void add_hook(Hook hook);

  /// True if both are the same variable (not: equal values).
  bool same(const Variable& other) const { return state_ == other.state_; }

 private:
  friend class Function;
  friend class Engine;
  struct State;
  explicit Variable(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

using Variables = std::vector<Variable>;

/// While one lives, on this thread, operations record no history.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// While one lives, on this thread, operations record history again (inside a NoGrad).
class EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};

bool grad_enabled();

}  // namespace filigree
