#include "autograd/ops/activation.h"

#include "autograd/function.h"
#include "autograd/ops/arithmetic.h"

namespace filigree {

namespace {

class Activate final : public Function {
 public:
  explicit Activate(Activation f) : f_(f) {}
  std::string_view name() const override { return "activation"; }
  Tensors forward(const Tensors& in) override {
    save_for_backward({in[0]});
    Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
    kernels::activation_forward(in[0], f_, y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx(grad[0].shape(), grad[0].dtype(), grad[0].device());
    kernels::activation_backward(saved(0), grad[0], f_, dx);
    return {dx};
  }
  Variables backward_graph(const Variables& grad) override {
    if (f_ == Activation::tanh) {  // dy (1 - y^2)
      const Variable y = activate(saved_input(0, 0), f_);
      return {sub(grad[0], mul(grad[0], mul(y, y)))};
    }
    if (f_ == Activation::relu) {  // dy where x > 0: the slope is a constant
      const Tensor& x = saved(0);
      Tensor slope(x.shape(), x.dtype(), x.device());
      kernels::activation_backward(x, Tensor::full(x.shape(), 1, x.dtype(), x.device()), f_, slope);
      return {mul_constant(grad[0], slope)};
    }
    return Function::backward_graph(grad);
  }

 private:
  Activation f_;
};

}  // namespace

Variable activate(const Variable& x, Activation f) { return Function::apply<Activate>({x}, f); }

}  // namespace filigree
