#include "autograd/ops/layer_norm.h"

#include "autograd/function.h"
#include "core/kernels/layer_norm.h"

namespace filigree {

namespace {

class LayerNorm final : public Function {
 public:
  explicit LayerNorm(double eps) : eps_(eps) {}
  std::string_view name() const override { return "layer_norm"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    expect_parameter_of("layer_norm", x, in[1]);
    expect_same_kind("layer_norm", in[1], in[2]);
    expect_shape("layer_norm", "gamma", {x.shape().last()}, in[1].shape());
    expect_shape("layer_norm", "beta", {x.shape().last()}, in[2].shape());
    Tensor y(x.shape(), x.dtype(), x.device());
    const DType kept = statistics_dtype(x.dtype());
    Tensor mean({x.shape().rows()}, kept, x.device());  // (R)
    Tensor rstd({x.shape().rows()}, kept, x.device());  // (R)
    Tensor sum;                                         // x itself
    const Tensor gamma = in[1].to(kept), beta = in[2].to(kept);
    kernels::layer_norm_forward(x, {}, {}, gamma, beta, eps_, sum, y, mean, rstd);
    save_for_backward({x, gamma, mean, rstd});
    parameters_ = in[1].dtype();
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor &x = saved(0), &gamma = saved(1);
    Tensor dx(x.shape(), x.dtype(), x.device());
    Tensor dgamma(gamma.shape(), gamma.dtype(), x.device());
    Tensor dbeta(gamma.shape(), gamma.dtype(), x.device());
    Tensor dbranch;  // there is none
    kernels::layer_norm_backward(x, gamma, saved(2), saved(3), grad[0], {}, {}, dx, dbranch, dgamma,
                                 dbeta);
    return {dx, dgamma.to(parameters_), dbeta.to(parameters_)};
  }

 private:
  double eps_;
  DType parameters_ = DType::f32;
};

}  // namespace

Variable layer_norm(const Variable& x, const Variable& gamma, const Variable& beta, double eps) {
  return Function::apply<LayerNorm>({x, gamma, beta}, eps);
}

}  // namespace filigree
