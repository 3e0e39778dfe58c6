// Cases of layer_norm.h and residual_norm.h.
#include <cmath>

#include "autograd/ops/arithmetic.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/exponential.h"
#include "autograd/ops/layer_norm.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/residual_norm.h"
#include "autograd/ops/shape.h"
#include "op_case.h"

namespace filigree::testing {

namespace {

/// (x - mean) / sqrt(variance + eps) gamma + beta, one step at a time.
Variable composite_layer_norm(const Variables& v) {
  const Variable& x = v[0];
  const int64_t width = x.shape().last(), rows = x.shape().rows();
  const double share = 1.0 / static_cast<double>(width);
  const Variable centred = sub(x, spread_last(scale(sum_last(x), share), width));
  const Variable variance = scale(sum_last(mul(centred, centred)), share);
  const Variable eps(Tensor::full(variance.shape(), 1e-5, x.dtype()));
  const Variable inverse = exp(scale(log(add(variance, eps)), -0.5));
  const Variable ones(Tensor::full({rows, 1}, 1, x.dtype()));
  const Variable gamma = linear(ones, spread_last(v[1], 1));
  return add_bias(mul(mul(centred, spread_last(inverse, width)), gamma), v[2]);
}
const RegisterOpCase layer_norm_case{
    {"layer_norm",
     [](int64_t n) {
       return std::vector<Shape>{{n, 5}, {5}, {5}};
     },
     [](const Variables& v) { return layer_norm(v[0], v[1], v[2], 1e-5); },
     composite_layer_norm,
     {{{numbers({1, 3}, {1, 2}), numbers({2, 2}, {2}), numbers({0, 1}, {2})},
       {-2 / std::sqrt(1 + 1e-5), 1 + 2 / std::sqrt(1 + 1e-5)}}},
     [] {
       layer_norm(zeros({2, 3}), zeros({2}), zeros({3}));
     },
     "gamma"}};

/// Rows that are whole packs of every dtype.
const RegisterOpCase packed_layer_norm_case{
    {"layer_norm/packs",
     [](int64_t n) {
       return std::vector<Shape>{{n, 40}, {40}, {40}};
     },
     [](const Variables& v) { return layer_norm(v[0], v[1], v[2], 1e-5); }, composite_layer_norm}};

std::vector<Shape> residual_shapes(int64_t n, int64_t width) {
  return {{n, width}, {n, width}, {width}, {width}};
}

/// Both outputs, one behind the other, with half of the branch dropped.
const RegisterOpCase residual_norm_case{
    {"residual_norm",
     [](int64_t n) { return residual_shapes(n, 8); },
     [](const Variables& v) {
       return concat_rows(residual_norm(v[0], v[1], v[2], v[3], 1e-5, {0.5, 7}));
     },
     [](const Variables& v) {
       const Variable sum = add(v[0], dropout(v[1], 0.5, 7));
       return concat_rows({sum, composite_layer_norm({sum, v[2], v[3]})});
     },
     {},
     [] {
       residual_norm(zeros({2, 3}), zeros({3, 2}), zeros({3}), zeros({3}));
     },
     "branch"}};

/// The norm alone, of rows that are no whole packs.
const RegisterOpCase odd_residual_norm_case{
    {"residual_norm/odd",
     [](int64_t n) { return residual_shapes(n, 5); },
     [](const Variables& v) {
       return residual_norm(v[0], v[1], v[2], v[3], 1e-5, {0.25, 9})[1];
     },
     [](const Variables& v) {
       return composite_layer_norm({add(v[0], dropout(v[1], 0.25, 9)), v[2], v[3]});
     },
     {},
     [] {
       residual_norm(zeros({2, 3}), zeros({2, 3}), zeros({3}), zeros({3}), 1e-5, {1.5, 0});
     },
     "expected a probability in [0, 1), got 1.5"}};

/// Nothing dropped: 1 + 0 and 1 + 2, their mean 2 and variance 1.
const RegisterOpCase whole_residual_norm_case{
    {"residual_norm/whole",
     [](int64_t n) { return residual_shapes(n, 16); },
     [](const Variables& v) { return concat_rows(residual_norm(v[0], v[1], v[2], v[3], 1e-5)); },
     [](const Variables& v) {
       const Variable sum = add(v[0], v[1]);
       return concat_rows({sum, composite_layer_norm({sum, v[2], v[3]})});
     },
     {{{numbers({1, 1}, {1, 2}), numbers({0, 2}, {1, 2}), numbers({2, 2}, {2}),
        numbers({0, 1}, {2})},
       {1, 3, -2 / std::sqrt(1 + 1e-5), 1 + 2 / std::sqrt(1 + 1e-5)}}}}};

/// The sum alone: gamma and beta get nothing.
const RegisterOpCase sum_of_residual_norm_case{
    {"residual_norm/sum", [](int64_t n) { return residual_shapes(n, 8); },
     [](const Variables& v) {
       return residual_norm(v[0], v[1], v[2], v[3], 1e-5, {0.5, 3})[0];
     },
     [](const Variables& v) { return add(v[0], dropout(v[1], 0.5, 3)); }}};

}  // namespace

}  // namespace filigree::testing
