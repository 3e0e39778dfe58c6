// Cases of arithmetic.h, exponential.h, activation.h and dropout.h.
#include <cmath>

#include "autograd/lambda_op.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/exponential.h"
#include "op_case.h"

namespace filigree::testing {

namespace {

std::vector<Shape> one(int64_t n) { return {Shape{n, 3}}; }
std::vector<Shape> two(int64_t n) { return {Shape{n, 3}, Shape{n, 3}}; }
Tensor row(const std::vector<double>& values) {
  return numbers(values, {static_cast<int64_t>(values.size())});
}

/// Ramp 0.5, 1.0, 1.5 ... of this shape and dtype: a constant.
Tensor ramp(const Variable& like) {
  Tensor values(like.shape(), DType::f64);
  for (int64_t i = 0; i < values.numel(); ++i) {
    values.data<double>()[i] = 0.5 * static_cast<double>(i + 1);
  }
  return values.to(like.dtype()).to(like.device());
}

const RegisterOpCase add_case{{"add",
                               two,
                               [](const Variables& v) { return add(v[0], v[1]); },
                               {},
                               {{{row({1, 2}), row({10, -2})}, {11, 0}}},
                               [] { add(zeros({2}), zeros({3})); },
                               "add"}};
const RegisterOpCase sub_case{{"sub",
                               two,
                               [](const Variables& v) { return sub(v[0], v[1]); },
                               [](const Variables& v) { return add(v[0], scale(v[1], -1)); },
                               {{{row({1, 2}), row({10, -2})}, {-9, 4}}},
                               [] {
                                 sub(zeros({2}), zeros({2, 1}));
                               },
                               "sub"}};
const RegisterOpCase mul_case{{"mul",
                               two,
                               [](const Variables& v) { return mul(v[0], v[1]); },
                               {},
                               {{{row({3, 2}), row({10, -2})}, {30, -4}}},
                               [] { mul(zeros({2}), zeros({3})); },
                               "mul"}};
const RegisterOpCase scale_case{{"scale",
                                 one,
                                 [](const Variables& v) { return scale(v[0], -2.5); },
                                 {},
                                 {{{row({2, -4})}, {-5, 10}}}}};
const RegisterOpCase mul_constant_case{
    {"mul_constant",
     one,
     [](const Variables& v) { return mul_constant(v[0], ramp(v[0])); },
     [](const Variables& v) { return mul(v[0], Variable(ramp(v[0]))); },
     {{{row({2, -4})}, {1, -4}}},
     [] { mul_constant(zeros({2}), Tensor::zeros({3}, DType::f64)); },
     "mul_constant"}};
const RegisterOpCase exp_case{{"exp",
                               one,
                               [](const Variables& v) { return exp(v[0]); },
                               {},
                               {{{row({0, 1})}, {1, std::exp(1.0)}}}}};
const RegisterOpCase log_case{{"log",
                               one,
                               [](const Variables& v) { return log(v[0]); },
                               {},
                               {{{row({1, std::exp(2.0)})}, {0, 2}}},
                               {},
                               "",
                               true}};

/// x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2.
const RegisterOpCase activate_case{
    {"activate",
     one,
     [](const Variables& v) { return activate(v[0], Activation::gelu_tanh); },
     [](const Variables& v) {
       const Variable& x = v[0];
       const Variable cube = mul(x, mul(x, x));
       const Variable inner = scale(add(x, scale(cube, 0.044715)), std::sqrt(2 / M_PI));
       return scale(add(x, mul(x, tanh(inner))), 0.5);
     },
     {{{row({0})}, {0}}}}};
/// x Phi(x) with the C library's erf; the slope Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi).
Variable gelu_by_the_library(const Variable& x) {
  const auto each = [](const Tensor& in, double (*f)(double)) {
    Tensor out(in.shape(), DType::f64);
    for (int64_t i = 0; i < in.numel(); ++i) out.data<double>()[i] = f(in.at(i));
    return out.to(in.dtype());
  };
  const auto value = [=](const Tensors& in) {
    return Tensors{each(in[0], [](double t) { return t / 2 * (1 + std::erf(t * M_SQRT1_2)); })};
  };
  const auto slope = [=](const Tensors& in, const Tensors&, const Tensors& grads) {
    const Tensor factor = each(in[0], [](double t) {
      return (1 + std::erf(t * M_SQRT1_2)) / 2 + t * std::exp(-t * t / 2) / std::sqrt(2 * M_PI);
    });
    return Tensors{mul(Variable(factor), Variable(grads[0])).value()};
  };
  return lambda_op("gelu by the library", value, slope, {x})[0];
}
const RegisterOpCase gelu_case{
    {"gelu",
     one,
     [](const Variables& v) { return gelu(v[0]); },
     [](const Variables& v) { return gelu_by_the_library(v[0]); },
     {{{row({0, 1, -2})}, {0, 0.5 * (1 + std::erf(M_SQRT1_2)), -(1 + std::erf(-M_SQRT2))}}}}};
const RegisterOpCase relu_case{{"relu",
                                one,
                                [](const Variables& v) { return relu(v[0]); },
                                {},
                                {{{row({-1, 0, 2})}, {0, 0, 2}}}}};
/// tanh x = 1 - 2 / (e^(2x) + 1), with 1 / y as exp(-log y).
const RegisterOpCase tanh_case{{"tanh",
                                one,
                                [](const Variables& v) { return tanh(v[0]); },
                                [](const Variables& v) {
                                  const Tensor units =
                                      Tensor::full(v[0].shape(), 1, v[0].dtype(), v[0].device());
                                  const Variable e = add(exp(scale(v[0], 2)), Variable(units));
                                  return sub(Variable(units), scale(exp(scale(log(e), -1)), 2));
                                },
                                {{{row({0, 0.5})}, {0, std::tanh(0.5)}}}}};

/// The mask is a function of the key: dropout(1) shows it.
const RegisterOpCase dropout_case{
    {"dropout",
     one,
     [](const Variables& v) { return dropout(v[0], 0.4, 99); },
     [](const Variables& v) {
       const Variable units(Tensor::full(v[0].shape(), 1, v[0].dtype(), v[0].device()));
       return mul_constant(v[0], dropout(units, 0.4, 99).value());
     },
     {},
     [] { dropout(zeros({2}), 1.0, 1); },
     "expected a probability in [0, 1), got 1"}};

}  // namespace

}  // namespace filigree::testing
