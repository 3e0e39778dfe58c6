#include "autograd/ops/softmax.h"

#include "autograd/function.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/exponential.h"
#include "autograd/ops/reduce.h"
#include "core/kernels/softmax.h"

namespace filigree {

namespace {

Tensor softmax_gradient(const Tensor& y, const Tensor& dy) {
  Tensor dx(y.shape(), y.dtype(), y.device());
  kernels::softmax_backward(y, dy, dx);
  return dx;
}

/// y (dy - rowsum(dy y)), in differentiable ops.
Variable softmax_gradient_graph(const Variable& y, const Variable& dy) {
  const Variable weighted = mul(y, dy);
  return sub(weighted, mul(y, spread_last(sum_last(weighted), y.shape().last())));
}

class Softmax final : public Function {
 public:
  std::string_view name() const override { return "softmax"; }
  Tensors forward(const Tensors& in) override {
    Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
    kernels::softmax_forward(in[0], y);
    save_for_backward({y});
    return {y};
  }
  Tensors backward(const Tensors& grad) override { return {softmax_gradient(saved(0), grad[0])}; }
  Variables backward_graph(const Variables& grad) override {
    return {softmax_gradient_graph(saved_output(0, 0), grad[0])};
  }
};

class MaskedSoftmax final : public Function {
 public:
  explicit MaskedSoftmax(Tensor mask) : mask_(std::move(mask)) {}
  std::string_view name() const override { return "masked_softmax"; }
  Tensors forward(const Tensors& in) override {
    expect_shape("masked_softmax", "mask", in[0].shape(), mask_.shape());
    if (mask_.dtype() != DType::u8) throw_dtype("masked_softmax", "u8", mask_.dtype());
    mask_ = mask_.to(in[0].device());
    Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
    kernels::masked_softmax_forward(in[0], mask_, y);
    save_for_backward({y});
    return {y};
  }
  Tensors backward(const Tensors& grad) override { return {softmax_gradient(saved(0), grad[0])}; }
  Variables backward_graph(const Variables& grad) override {
    return {softmax_gradient_graph(saved_output(0, 0), grad[0])};
  }

 private:
  Tensor mask_;
};

class LogSoftmax final : public Function {
 public:
  std::string_view name() const override { return "log_softmax"; }
  Tensors forward(const Tensors& in) override {
    Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
    kernels::log_softmax_forward(in[0], y);
    save_for_backward({y});
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx(grad[0].shape(), grad[0].dtype(), grad[0].device());
    kernels::log_softmax_backward(saved(0), grad[0], dx);
    return {dx};
  }
  // dy - softmax(x) rowsum(dy).
  Variables backward_graph(const Variables& grad) override {
    const Variable probabilities = exp(saved_output(0, 0));
    const int64_t classes = probabilities.shape().last();
    return {sub(grad[0], mul(probabilities, spread_last(sum_last(grad[0]), classes)))};
  }
};

}  // namespace

Variable softmax(const Variable& x) { return Function::apply<Softmax>({x}); }
Variable log_softmax(const Variable& x) { return Function::apply<LogSoftmax>({x}); }
Variable masked_softmax(const Variable& x, const Tensor& mask) {
  return Function::apply<MaskedSoftmax>({x}, mask);
}

}  // namespace filigree
