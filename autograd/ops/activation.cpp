#include "autograd/ops/activation.h"

#include "autograd/function.h"

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

 private:
  Activation f_;
};

}  // namespace

Variable activate(const Variable& x, Activation f) { return Function::apply<Activate>({x}, f); }

}  // namespace filigree
