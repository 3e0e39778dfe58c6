// Recomputation: the same gradients, whoever holds the variables and wherever it runs.
#include "autograd/checkpoint.h"

#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/function.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/reduce.h"
#include "core/allocator.h"
#include "core/random.h"

namespace filigree {

namespace {

Variable number(double value, bool wants = true) {
  return Variable(Tensor::full({1}, value, DType::f64), wants);
}

}  // namespace

TEST(Checkpoint, GivesTheSameBitsForLessMemory) {
  constexpr int64_t kRows = 256, kWidth = 64;
  Variables weights;
  for (int k = 0; k < 4; ++k) weights.emplace_back(Tensor::full({kWidth, kWidth}, 0.01), true);
  const auto block = [&](const Variable& x, const Variable& weight) {
    Variable y = x;
    for (int i = 0; i < 8; ++i) {
      y = dropout(gelu(linear(y, weight)), 0.1, static_cast<uint64_t>(i));
    }
    return y;
  };
  Tensors grads[2];
  int64_t peaks[2];
  for (const bool recompute : {false, true}) {
    Variable y(Tensor::full({kRows, kWidth}, 0.5), true);
    for (Variable& weight : weights) weight.zero_grad();
    reset_peak();
    for (const Variable& weight : weights) {
      const auto run = [&](const Variables& v) { return Variables{block(v[0], weight)}; };
      y = (recompute ? checkpoint(run, {y}) : run({y}))[0];
    }
    backward(sum(y));
    peaks[recompute] = memory_stats().peak;
    for (const Variable& weight : weights) grads[recompute].push_back(weight.grad().clone());
  }
  EXPECT_LT(peaks[1], peaks[0] / 2);
  for (size_t k = 0; k < weights.size(); ++k) {
    for (int64_t i = 0; i < grads[0][k].numel(); ++i) {
      ASSERT_EQ(grads[0][k].at(i), grads[1][k].at(i));
    }
  }
}

TEST(Checkpoint, ItsOwnParametersLearnThoughNoInputWantsAGradient) {
  const Variable weight = number(3), x = number(5, false);
  const auto f = [&](const Variables& v) { return Variables{mul(v[0], mul(weight, weight))}; };
  backward(sum(checkpoint(f, {x})[0]));
  EXPECT_EQ(weight.grad().at(0), 30);
  EXPECT_FALSE(x.grad().defined());
  const NoGrad no_grad;
  EXPECT_TRUE(checkpoint(f, {x})[0].is_leaf());
}

TEST(Checkpoint, WhatItCapturesFromOutsideLearnsToo) {
  const Variable x = number(2), scale_of = number(3);
  const Variable outer = mul(scale_of, scale_of);  // has a history of its own
  const auto f = [&](const Variables& v) { return Variables{mul(v[0], outer)}; };
  const Variable y = add(checkpoint(f, {x})[0], checkpoint(f, {outer})[0]);  // x s^2 + s^4
  backward(sum(y));
  EXPECT_EQ(x.grad().at(0), 9);
  EXPECT_EQ(scale_of.grad().at(0), 2 * 2 * 3 + 4 * 27);
}

TEST(Checkpoint, GradientsTouchesNoGradAndFindsWhatIsCaptured) {
  const Variable x = number(2), weight = number(3), other = number(7);
  const auto f = [&](const Variables& v) { return Variables{mul(mul(v[0], weight), other)}; };
  const Variables found = gradients(sum(checkpoint(f, {x})[0]), {weight, x});
  EXPECT_EQ(found[0].value().at(0), 14);
  EXPECT_EQ(found[1].value().at(0), 21);
  for (const Variable& leaf : {x, weight, other}) EXPECT_FALSE(leaf.grad().defined());
}

TEST(Checkpoint, HooksOfAParameterSeeItsWholeGradientOnce) {
  Variable weight = number(3);
  std::vector<double> seen;
  weight.add_hook([&](const Tensor& grad) {
    seen.push_back(grad.at(0));
    return Tensor();
  });
  const auto f = [&](const Variables& v) { return Variables{mul(v[0], weight)}; };
  backward(sum(checkpoint(f, {checkpoint(f, {number(2)})[0]})[0]));  // 2 w^2
  EXPECT_EQ(seen, std::vector<double>{12});
}

TEST(Checkpoint, RandomNumbersKeyedByTheModulePathAreTheSameWhereverTheBackwardPassRuns) {
  const auto drop = [](const Variables& v) {
    const ModuleScope scope("inner");
    return Variables{dropout(v[0], 0.5, hash_name(module_path()))};
  };
  const auto nested = [&](const Variables& v) {
    const ModuleScope scope("middle");
    return checkpoint(drop, v);
  };
  const auto gradient = [&](bool recompute) {
    const Variable x(Tensor::full({200}, 1, DType::f64), true);
    Variable y;
    {
      const ModuleScope scope("outer");
      y = sum(recompute ? checkpoint(nested, {x})[0] : nested({x})[0]);
    }
    const ModuleScope elsewhere("elsewhere");
    backward(y);
    EXPECT_EQ(module_path(), "elsewhere");
    return x.grad();
  };
  const Tensor plain = gradient(false), again = gradient(true);
  for (int64_t i = 0; i < plain.numel(); ++i) ASSERT_EQ(plain.at(i), again.at(i)) << i;
}

}  // namespace filigree
