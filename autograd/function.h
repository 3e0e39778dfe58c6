// Function: one differentiable operation, forward and backward side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/variable.h"

namespace filigree {

/// Base of every op, and the node of the graph. An op is a subclass plus a free function:
///
///     class Tanh final : public Function {
///      public:
///       std::string_view name() const override { return "tanh"; }
///       Tensors forward(const Tensors& in) override {
///         Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
///         kernels::tanh_forward(in[0], y);
///         save_for_backward({y});
///         return {y};
///       }
///       Tensors backward(const Tensors& grad) override { ... return {dx}; }
///     };
///     Variable tanh(const Variable& x) { return Function::apply<Tanh>({x}); }
///
/// Hyper-parameters are constructor arguments, kept as members.
class Function : public std::enable_shared_from_this<Function> {
 public:
  virtual ~Function();

  /// Name in messages and graphs; also the key of the op's OpCase.
  virtual std::string_view name() const = 0;
  /// Checks the inputs (ShapeError, DTypeError), computes the outputs, saves what backward needs.
  virtual Tensors forward(const Tensors& inputs) = 0;
  /// Gradient of the loss for every input, given that for every output (an undefined entry: the
  /// loss does not depend on that output). An entry may stay undefined where needs_grad(i) is
  /// false.
  virtual Tensors backward(const Tensors& grad_outputs) = 0;
  /// The same in differentiable ops, for a double backward. Default: GradientError that names the
  /// op and the composite to use instead.
  virtual Variables backward_graph(const Variables& grad_outputs);

  /// Recorded even if no input wants a gradient: a leaf that the op holds itself may want one.
  virtual bool records_always() const { return false; }

  /// Makes an F(args...), runs it on the inputs and, if gradients are enabled and an input wants
  /// one, records it.
  template <class F, class... Args>
  static Variable apply(const Variables& inputs, Args&&... args) {
    return run(std::make_shared<F>(std::forward<Args>(args)...), inputs)[0];
  }
  template <class F, class... Args>
  static Variables apply_all(const Variables& inputs, Args&&... args) {
    return run(std::make_shared<F>(std::forward<Args>(args)...), inputs);
  }
  static Variables run(std::shared_ptr<Function> function, const Variables& inputs);

  /// The inputs' producers, for graph walks: leaf variables or earlier functions.
  struct Edge {
    std::shared_ptr<Function> function;  ///< null for a leaf
    int output = 0;                      ///< which output of it
    Variable leaf;                       ///< the leaf, undefined if it wants no gradient
    bool wanted = false;                 ///< a gradient must flow along this edge
  };
  const std::vector<Edge>& edges() const { return edges_; }
  /// Increases in order of creation: an input's producer always has a smaller number.
  int64_t number() const { return number_; }
  /// The module in whose forward pass this ran ("encoder.layers.0.attention"), or "".
  const std::string& module_path() const { return module_path_; }
  int output_count() const { return static_cast<int>(output_info_.size()); }

 protected:
  /// Keeps tensors until backward() has run; call from forward() only. Free when no gradient is
  /// recorded.
  void save_for_backward(Tensors tensors);
  /// The i-th saved tensor. Throws GradientError if it has been released (a second backward without
  /// keep_graph).
  const Tensor& saved(size_t i) const;
  /// The s-th saved tensor as a variable with its history, for backward_graph(): where it is this
  /// op's input i, or its output i.
  Variable saved_input(size_t s, size_t i) const;
  Variable saved_output(size_t s, size_t i) const;
  /// Whether input i wants a gradient: backward() may skip the work otherwise.
  bool needs_grad(size_t i) const;
  /// From backward(): what other ops have given to input i's gradient so far, for an op that adds
  /// to it at no cost, as a matrix product does. Whoever takes it returns the sum. Undefined where
  /// nothing has come, somebody else holds it, it goes to several targets, or the input is a leaf
  /// that backward() adds to the grad() of; the op then returns its own part.
  Tensor take_arrived(size_t i) const;

 private:
  friend class Engine;
  void release_saved();
  static Variable with_history(const Tensor& value, std::shared_ptr<Function> function, int output);

  std::vector<Edge> edges_;
  Tensors saved_;
  bool recorded_ = false;
  bool released_ = false;
  struct OutputInfo {
    Shape shape;
    DType dtype;
    Device device;
    std::weak_ptr<Variable::State> state;
  };
  std::vector<OutputInfo> output_info_;
  int64_t number_ = 0;
  std::string module_path_;
};

/// While one lives, on this thread, functions are recorded with "outer.name" as module path.
class ModuleScope {
 public:
  explicit ModuleScope(std::string_view name);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;

 private:
  size_t before_;
};
const std::string& module_path();

/// While one lives, on this thread, the module path is exactly `path`: for a forward pass that runs
/// again, elsewhere (recomputation).
class RestoredModulePath {
 public:
  explicit RestoredModulePath(std::string path);
  ~RestoredModulePath();
  RestoredModulePath(const RestoredModulePath&) = delete;
  RestoredModulePath& operator=(const RestoredModulePath&) = delete;

 private:
  std::string before_;
};

}  // namespace filigree
