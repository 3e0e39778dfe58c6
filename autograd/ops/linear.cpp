#include "autograd/ops/linear.h"

#include <fmt/format.h>
#include <utility>

#include "autograd/function.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/rounded_parameter.h"
#include "autograd/ops/shape.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/linear.h"
#include "core/kernels/matmul.h"

namespace filigree {

namespace {

Tensor column_sums(const Tensor& x, int64_t width, DType dtype) {
  Tensor sums({width}, dtype, x.device());
  kernels::sum_rows(x, sums);
  return sums;
}

class Linear final : public Function {
 public:
  explicit Linear(RoundedLinear rounded) : rounded_(std::move(rounded)) {}
  std::string_view name() const override { return "linear"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    expect_rank("linear", "x", x, 2);
    expect_rank("linear", "weight", in[1], 2);
    expect_parameter_of("linear", x, in[1]);
    expect_shape("linear", "weight", {in[1].size(0), x.size(1)}, in[1].shape());
    const RoundedLinear rounded = std::exchange(rounded_, {});  // held no longer than is saved
    const Tensor weight = rounded_parameter("linear", x, in[1], rounded.weight);
    of_weight_ = in[1].dtype();
    save_for_backward({x, weight});
    Tensor y({x.size(0), weight.size(0)}, x.dtype(), x.device());  // (T, O)
    if (in.size() > 2) {
      expect_shape("linear", "bias", {weight.size(0)}, in[2].shape());
      expect_parameter_of("linear", x, in[2]);
      of_bias_ = in[2].dtype();
      const Tensor bias = rounded_parameter("linear", x, in[2], rounded.bias);
      kernels::linear_forward(x, weight, bias, y);
    } else {
      kernels::matmul(x, weight, {false, true, false}, y);
    }
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor &x = saved(0), &weight = saved(1), &dy = grad[0];
    Tensors result(edges().size());
    if (needs_grad(0)) {
      result[0] = take_arrived(0);  // a residual's, say
      const bool add = result[0].defined();
      if (!add) result[0] = Tensor(x.shape(), x.dtype(), x.device());
      kernels::matmul(dy, weight, {false, false, add}, result[0]);
    }
    if (needs_grad(1)) result[1] = Tensor(weight.shape(), of_weight_, x.device());
    if (needs_grad(1) && needs_grad(2)) {
      result[2] = Tensor({weight.size(0)}, of_bias_, x.device());
      kernels::linear_weight_backward(x, dy, result[1], result[2]);
    } else if (needs_grad(1)) {
      kernels::matmul(dy, x, {true, false, false}, result[1]);
    } else if (needs_grad(2)) {
      result[2] = column_sums(dy, weight.size(0), of_bias_);
    }
    return result;
  }

 private:
  RoundedLinear rounded_;
  DType of_weight_ = DType::f32, of_bias_ = DType::f32;  // what their gradients are in
};

class AddBias final : public Function {
 public:
  std::string_view name() const override { return "add_bias"; }
  Tensors forward(const Tensors& in) override {
    expect_same_kind("add_bias", in[0], in[1]);
    expect_shape("add_bias", "bias", {in[0].shape().last()}, in[1].shape());
    Tensor y(in[0].shape(), in[0].dtype(), in[0].device());
    kernels::add_bias(in[0], in[1], y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    return {grad[0], needs_grad(1) ? column_sums(grad[0], grad[0].shape().last(), grad[0].dtype())
                                   : Tensor()};
  }
  Variables backward_graph(const Variables& grad) override {
    const int64_t width = grad[0].shape().last();
    const int64_t rows = width == 0 ? 0 : grad[0].shape().numel() / width;
    return {grad[0], sum_last(swap_axes(reshape(grad[0], {rows, width}), 0, 1))};
  }
};

}  // namespace

Variable linear(const Variable& x, const Variable& weight, const Variable& bias,
                const RoundedLinear& rounded) {
  return bias.defined() ? Function::apply<Linear>({x, weight, bias}, rounded)
                        : Function::apply<Linear>({x, weight}, rounded);
}
Variable add_bias(const Variable& x, const Variable& bias) {
  return Function::apply<AddBias>({x, bias});
}

}  // namespace filigree
