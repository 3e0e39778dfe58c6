#include "autograd/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "autograd/backward.h"
#include "autograd/function.h"
#include "core/random.h"

namespace filigree {

namespace {

/// Derivatives below this are compared absolutely: differences see no digits of them.
constexpr double kSmall = 1e-3;

/// Fixed weights in [-1, 1] that make a scalar out of any outputs: entry i of output k.
double weight(size_t output, int64_t index) {
  const RandomBlock bits = philox(mix_key({static_cast<uint64_t>(Purpose::test), output}), 0,
                                  static_cast<uint64_t>(index));
  return 2.0 * to_uniform(bits[0]) - 1.0;
}

/// sum_k <y_k, W_k>.
double weighted_sum(const Variables& outputs) {
  double total = 0;
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (!is_floating(outputs[k].dtype())) continue;
    for (int64_t i = 0; i < outputs[k].value().numel(); ++i) {
      total += outputs[k].value().at(i) * weight(k, i);
    }
  }
  return total;
}

Tensor weights_for(const Variable& output, size_t k) {
  Tensor result(output.shape(), output.dtype());
  for (int64_t i = 0; i < result.numel(); ++i) result.data<double>()[i] = weight(k, i);
  return result;
}

/// Gradient of sum_k <f_k, W_k> for every input (undefined where none is wanted).
Tensors analytic(const std::function<Variables(const Variables&)>& f, const Variables& inputs) {
  Variables leaves;
  for (const Variable& input : inputs) {
    leaves.push_back(Variable(input.value(), input.requires_grad()));
  }
  const Variables outputs = f(leaves);
  Tensors seeds;
  for (size_t k = 0; k < outputs.size(); ++k) {
    seeds.push_back(outputs[k].requires_grad() ? weights_for(outputs[k], k) : Tensor());
  }
  backward_all(outputs, std::move(seeds));
  Tensors grads;
  for (const Variable& leaf : leaves) grads.push_back(leaf.grad());
  return grads;
}

}  // namespace

GradientCheck check_gradient(const std::function<Variables(const Variables&)>& f,
                             const Variables& inputs, double eps) {
  const Tensors grads = analytic(f, inputs);
  Variables moved;
  for (const Variable& input : inputs) moved.push_back(Variable(input.value().clone()));
  const NoGrad no_grad;
  GradientCheck result;
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (!inputs[k].requires_grad()) continue;
    double* values = moved[k].value().data<double>();
    for (int64_t i = 0; i < moved[k].value().numel(); ++i) {
      const double x = values[i];
      const auto at = [&](double step) {
        values[i] = x + step;
        return weighted_sum(f(moved));
      };
      const double numeric = (8 * (at(eps) - at(-eps)) - (at(2 * eps) - at(-2 * eps))) / (12 * eps);
      values[i] = x;
      const double exact = grads[k].defined() ? grads[k].at(i) : 0;
      const double scale = std::max({kSmall, std::abs(exact), std::abs(numeric)});
      const double error = std::abs(exact - numeric) / scale;
      if (!(error <= result.largest_error)) {
        result.largest_error = std::isnan(error) ? INFINITY : error;
        result.worst = fmt::format("input {} at {}: analytic {}, numeric {}", k, i, exact, numeric);
      }
    }
  }
  return result;
}

GradientCheck check_double_gradient(const std::function<Variables(const Variables&)>& f,
                                    const Variables& inputs, double eps) {
  const auto first = [&f](const Variables& x) {
    const EnableGrad enable_grad;
    Variables leaves;
    Variables wanted;
    for (const Variable& input : x) {
      // Leaves of an outer check keep their place in its graph; plain values become leaves here.
      leaves.push_back(input.requires_grad() || !is_floating(input.dtype())
                           ? input
                           : Variable(input.value(), true));
      if (leaves.back().requires_grad()) wanted.push_back(leaves.back());
    }
    const Variables outputs = f(leaves);
    return gradients(outputs.at(0), wanted, Variable(weights_for(outputs[0], 0)),
                     {.create_graph = true});
  };
  return check_gradient(first, inputs, eps);
}

}  // namespace filigree
