#include "autograd/ops/reduce.h"

#include <algorithm>

#include "autograd/function.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/shape.h"
#include "core/kernels/matmul.h"
#include "core/kernels/reduce.h"

namespace filigree {

namespace {

class Sum final : public Function {
 public:
  explicit Sum(double factor) : factor_(factor) {}
  std::string_view name() const override { return "sum"; }
  Tensors forward(const Tensors& in) override {
    shape_ = in[0].shape();
    Tensor y({}, in[0].dtype(), in[0].device());
    kernels::sum_all(in[0], factor_, y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx(shape_, grad[0].dtype(), grad[0].device());
    kernels::spread_scalar(grad[0], factor_, dx);
    return {dx};
  }
  Variables backward_graph(const Variables& grad) override {
    return {scale(reshape(spread_last(grad[0], shape_.numel()), shape_), factor_)};
  }

 private:
  double factor_;
  Shape shape_;
};

/// Product with a row or column of ones, so that both ways are one matrix product.
class SumLast final : public Function {
 public:
  std::string_view name() const override { return "sum_last"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    if (x.shape().rank() == 0) throw ShapeError("sum_last", "expected rank 1 or more, got ()");
    width_ = x.shape().last();
    const int64_t rows = x.shape().rows();
    Tensor y(Shape(x.shape().begin(), x.shape().end() - 1), x.dtype(), x.device());
    Tensor flat = y.view({rows, 1});
    const Tensor ones = Tensor::full({width_, 1}, 1, x.dtype(), x.device());
    kernels::matmul(x.view({rows, width_}), ones, {}, flat);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    const NoGrad no_grad;
    return {spread_last(Variable(grad[0]), width_).value()};
  }
  Variables backward_graph(const Variables& grad) override {
    return {spread_last(grad[0], width_)};
  }

 private:
  int64_t width_ = 0;
};

class SpreadLast final : public Function {
 public:
  explicit SpreadLast(int64_t count) : count_(count) {}
  std::string_view name() const override { return "spread_last"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    Shape shape = x.shape();
    shape.append(count_);
    Tensor y(shape, x.dtype(), x.device());
    Tensor flat = y.view({x.numel(), count_});
    const Tensor ones = Tensor::full({1, count_}, 1, x.dtype(), x.device());
    kernels::matmul(x.view({x.numel(), 1}), ones, {}, flat);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    const NoGrad no_grad;
    return {sum_last(Variable(grad[0])).value()};
  }
  Variables backward_graph(const Variables& grad) override { return {sum_last(grad[0])}; }

 private:
  int64_t count_;
};

}  // namespace

Variable sum(const Variable& x) { return Function::apply<Sum>({x}, 1.0); }
Variable mean(const Variable& x) {
  return Function::apply<Sum>({x},
                              1.0 / static_cast<double>(std::max<int64_t>(1, x.shape().numel())));
}
Variable sum_last(const Variable& x) { return Function::apply<SumLast>({x}); }
Variable spread_last(const Variable& x, int64_t count) {
  return Function::apply<SpreadLast>({x}, count);
}

}  // namespace filigree
