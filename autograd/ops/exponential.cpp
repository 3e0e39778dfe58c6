#include "autograd/ops/exponential.h"

#include "autograd/function.h"
#include "autograd/ops/arithmetic.h"
#include "core/kernels/elementwise.h"

namespace filigree {

namespace {

class Exp final : public Function {
 public:
  std::string_view name() const override { return "exp"; }
  Tensors forward(const Tensors& in) override {
    Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
    kernels::exponential(in[0], y);
    save_for_backward({y});
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx(grad[0].shape(), grad[0].dtype(), grad[0].device());
    kernels::multiply(grad[0], saved(0), dx);
    return {dx};
  }
  Variables backward_graph(const Variables& grad) override {
    return {mul(grad[0], saved_output(0, 0))};
  }
};

class Log final : public Function {
 public:
  std::string_view name() const override { return "log"; }
  Tensors forward(const Tensors& in) override {
    save_for_backward({in[0]});
    Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
    kernels::logarithm(in[0], y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx(grad[0].shape(), grad[0].dtype(), grad[0].device());
    kernels::divide(grad[0], saved(0), dx);
    return {dx};
  }
  // dy / x = dy exp(-log x): where log x is no number, its derivative is none either.
  Variables backward_graph(const Variables& grad) override {
    return {mul(grad[0], exp(scale(log(saved_input(0, 0)), -1)))};
  }
};

}  // namespace

Variable exp(const Variable& x) { return Function::apply<Exp>({x}); }
Variable log(const Variable& x) { return Function::apply<Log>({x}); }

}  // namespace filigree
