#include "autograd/backward.h"

#include <fmt/format.h>

#include "autograd/engine.h"
#include "core/error.h"

namespace filigree {

void backward(const Variable& root, Tensor seed, BackwardOptions options) {
  Engine engine(options, {});
  engine.start(root, seed.defined() ? Variable(std::move(seed)) : Variable());
  engine.run();
  engine.finish_leaves();
}

void backward_all(const Variables& roots, const Tensors& seeds) {
  if (roots.size() != seeds.size()) {
    throw ShapeError("backward_all", fmt::format("expected a seed for each of {} roots, got {}",
                                                 roots.size(), seeds.size()));
  }
  Engine engine({}, {});
  for (size_t i = 0; i < roots.size(); ++i) {
    if (!seeds[i].defined() || !roots[i].requires_grad()) continue;
    engine.start(roots[i], Variable(seeds[i]));
  }
  engine.run();
  engine.finish_leaves();
}

Variables gradients(const Variable& root, const Variables& inputs, const Variable& seed,
                    BackwardOptions options) {
  Engine engine(options, inputs);
  engine.start(root, seed);
  engine.run();
  return engine.take_target_grads();
}

}  // namespace filigree
