#include "autograd/ops/dropout.h"

#include <fmt/format.h>

#include "autograd/function.h"
#include "core/kernels/dropout.h"

namespace filigree {

namespace {

class Dropout final : public Function {
 public:
  Dropout(double p, uint64_t key) : p_(p), key_(key) {}
  std::string_view name() const override { return "dropout"; }
  Tensors forward(const Tensors& in) override { return {masked(in[0])}; }
  Tensors backward(const Tensors& grad) override { return {masked(grad[0])}; }
  Variables backward_graph(const Variables& grad) override { return {dropout(grad[0], p_, key_)}; }

 private:
  Tensor masked(const Tensor& x) const {
    Tensor y(x.shape(), x.dtype(), x.device());
    kernels::dropout(x, p_, key_, y);
    return y;
  }
  double p_;
  uint64_t key_;
};

}  // namespace

void expect_dropout(double p) {
  if (p >= 0 && p < 1) return;
  throw ConfigError("dropout", fmt::format("expected a probability in [0, 1), got {}", p));
}

Variable dropout(const Variable& x, double p, uint64_t key) {
  expect_dropout(p);
  return p == 0 ? x : Function::apply<Dropout>({x}, p, key);
}

}  // namespace filigree
