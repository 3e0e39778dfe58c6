#include "autograd/ops/arithmetic.h"

#include "autograd/function.h"
#include "core/kernels/elementwise.h"

namespace filigree {

namespace {

Tensor like(const Tensor& x) { return Tensor(x.shape(), x.dtype(), x.device()); }

void expect_equal(std::string_view where, const Tensors& in) {
  expect_same_kind(where, in[0], in[1]);
  expect_shape(where, "second operand", in[0].shape(), in[1].shape());
}

class Add final : public Function {
 public:
  std::string_view name() const override { return "add"; }
  Tensors forward(const Tensors& in) override {
    expect_equal("add", in);
    Tensor y = like(in[0]);
    kernels::add(in[0], in[1], y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override { return {grad[0], grad[0]}; }
  Variables backward_graph(const Variables& grad) override { return {grad[0], grad[0]}; }
};

class Sub final : public Function {
 public:
  std::string_view name() const override { return "sub"; }
  Tensors forward(const Tensors& in) override {
    expect_equal("sub", in);
    Tensor y = like(in[0]);
    kernels::subtract(in[0], in[1], y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor negative = like(grad[0]);
    kernels::scale(grad[0], -1, negative);
    return {grad[0], negative};
  }
  Variables backward_graph(const Variables& grad) override { return {grad[0], scale(grad[0], -1)}; }
};

class Mul final : public Function {
 public:
  std::string_view name() const override { return "mul"; }
  Tensors forward(const Tensors& in) override {
    expect_equal("mul", in);
    save_for_backward({in[0], in[1]});
    Tensor y = like(in[0]);
    kernels::multiply(in[0], in[1], y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor da = like(grad[0]), db = like(grad[0]);
    kernels::multiply(grad[0], saved(1), da);
    kernels::multiply(grad[0], saved(0), db);
    return {da, db};
  }
  Variables backward_graph(const Variables& grad) override {
    return {mul(grad[0], saved_input(1, 1)), mul(grad[0], saved_input(0, 0))};
  }
};

class Scale final : public Function {
 public:
  explicit Scale(double factor) : factor_(factor) {}
  std::string_view name() const override { return "scale"; }
  Tensors forward(const Tensors& in) override {
    Tensor y = like(in[0]);
    kernels::scale(in[0], factor_, y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx = like(grad[0]);
    kernels::scale(grad[0], factor_, dx);
    return {dx};
  }
  Variables backward_graph(const Variables& grad) override { return {scale(grad[0], factor_)}; }

 private:
  double factor_;
};

class MulConstant final : public Function {
 public:
  explicit MulConstant(Tensor constant) : constant_(std::move(constant)) {}
  std::string_view name() const override { return "mul_constant"; }
  Tensors forward(const Tensors& in) override {
    expect_equal("mul_constant", {in[0], constant_});
    Tensor y = like(in[0]);
    kernels::multiply(in[0], constant_, y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx = like(grad[0]);
    kernels::multiply(grad[0], constant_, dx);
    return {dx};
  }
  Variables backward_graph(const Variables& grad) override {
    return {mul_constant(grad[0], constant_)};
  }

 private:
  Tensor constant_;
};

}  // namespace

Variable add(const Variable& a, const Variable& b) { return Function::apply<Add>({a, b}); }
Variable sub(const Variable& a, const Variable& b) { return Function::apply<Sub>({a, b}); }
Variable mul(const Variable& a, const Variable& b) { return Function::apply<Mul>({a, b}); }
Variable scale(const Variable& x, double factor) { return Function::apply<Scale>({x}, factor); }
Variable mul_constant(const Variable& x, const Tensor& constant) {
  return Function::apply<MulConstant>({x}, constant);
}

}  // namespace filigree
