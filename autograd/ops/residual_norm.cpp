#include "autograd/ops/residual_norm.h"

#include "autograd/function.h"
#include "autograd/ops/dropout.h"
#include "core/kernels/layer_norm.h"

namespace filigree {

namespace {

constexpr const char* kName = "residual_norm";

class ResidualNorm final : public Function {
 public:
  ResidualNorm(double eps, KeyedDropout dropout) : eps_(eps), dropout_(dropout) {}
  std::string_view name() const override { return kName; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    expect_same_kind(kName, x, in[1]);
    expect_parameter_of(kName, x, in[2]);
    expect_same_kind(kName, in[2], in[3]);
    expect_shape(kName, "branch", x.shape(), in[1].shape());
    expect_shape(kName, "gamma", {x.shape().last()}, in[2].shape());
    expect_shape(kName, "beta", {x.shape().last()}, in[3].shape());
    Tensor sum(x.shape(), x.dtype(), x.device()), y(x.shape(), x.dtype(), x.device());
    const DType kept = statistics_dtype(x.dtype());
    Tensor mean({x.shape().rows()}, kept, x.device());  // (R)
    Tensor rstd({x.shape().rows()}, kept, x.device());  // (R)
    const Tensor gamma = in[2].to(kept), beta = in[3].to(kept);
    kernels::layer_norm_forward(x, in[1], dropout_, gamma, beta, eps_, sum, y, mean, rstd);
    save_for_backward({sum, gamma, mean, rstd});
    parameters_ = in[2].dtype();
    return {sum, y};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor &sum = saved(0), &gamma = saved(1);
    const bool drops = dropout_.p > 0 && needs_grad(1);
    Tensor dx, dbranch, dgamma, dbeta;
    if (drops) dbranch = Tensor(sum.shape(), sum.dtype(), sum.device());
    if (grad[1].defined()) {
      dx = Tensor(sum.shape(), sum.dtype(), sum.device());
      dgamma = Tensor(gamma.shape(), gamma.dtype(), sum.device());
      dbeta = Tensor(gamma.shape(), gamma.dtype(), sum.device());
      kernels::layer_norm_backward(sum, gamma, saved(2), saved(3), grad[1], grad[0], dropout_, dx,
                                   dbranch, dgamma, dbeta);
    } else {  // the loss looks at the sum alone
      dx = grad[0];
      dgamma = Tensor::zeros(gamma.shape(), gamma.dtype(), sum.device());
      dbeta = Tensor::zeros(gamma.shape(), gamma.dtype(), sum.device());
      if (drops) kernels::dropout(dx, dropout_.p, dropout_.key, dbranch);
    }
    return {dx, drops ? dbranch : dx, dgamma.to(parameters_), dbeta.to(parameters_)};
  }

 private:
  double eps_;
  KeyedDropout dropout_;
  DType parameters_ = DType::f32;
};

}  // namespace

Variables residual_norm(const Variable& x, const Variable& branch, const Variable& gamma,
                        const Variable& beta, double eps, KeyedDropout dropout) {
  expect_dropout(dropout.p);
  return Function::apply_all<ResidualNorm>({x, branch, gamma, beta}, eps, dropout);
}

}  // namespace filigree
