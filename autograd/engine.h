// Private to autograd: one walk backwards through the graph.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "autograd/backward.h"
#include "autograd/function.h"

namespace filigree {

/// One run of reverse-mode differentiation. Gradients are plain tensors, or variables with history
/// when create_graph is on; both walk the same way.
///
/// A run inside another (a checkpoint that differentiates its second forward pass) stays within
/// what was computed since `boundary`: what belongs to older functions, and to leaves that are not
/// its own targets, goes to the run around it, which has not come to them yet.
class Engine {
 public:
  /// Collects the gradients of `targets`; with no targets, those of all leaves.
  Engine(BackwardOptions options, Variables targets);
  /// The run inside the one that is under way on this thread.
  Engine(Variables targets, int64_t boundary);

  /// Puts in the gradient of a root; an undefined seed stands for 1, the root then being a scalar.
  /// Throws GradientError, ShapeError, DTypeError.
  void start(const Variable& root, const Variable& seed);
  void run();
  /// The targets' gradients, each a tensor of its own; undefined where nothing arrived.
  Variables take_target_grads();
  /// Adds what arrived to the leaves' grad().
  void finish_leaves();
  /// See Function::take_arrived(): from what the run under way on this thread has collected.
  static Tensor take_arrived(const Function::Edge& edge);

 private:
  struct Pending {
    std::shared_ptr<Function> function;
    Variables grads;  // one an output, undefined until something arrives
  };

  void deliver(const std::shared_ptr<Function>& function, int output, const Variable& leaf,
               Variable grad);
  void deliver_leaf(const Variable& leaf, Variable grad);
  void add_into(Variable& slot, Variable grad) const;
  /// Where what arrives at an edge is added up; null if not here, or in several places.
  Variable* slot_of(const Function::Edge& edge);
  void visit(Function& function, Variables grads);
  void reach_outputs(Function& function, Variables& grads);
  static Variables plain_backward(Function& function, Variables grads);

  BackwardOptions options_;
  Variables targets_, target_grads_;
  Engine* around_ = nullptr;
  int64_t boundary_ = 0;  // functions up to this number belong to around_
  std::priority_queue<int64_t> queue_;
  std::map<int64_t, Pending> pending_;
  std::map<const void*, size_t> leaf_index_;
  std::vector<std::pair<Variable, Variable>> leaves_;  // in order of arrival
};

}  // namespace filigree
