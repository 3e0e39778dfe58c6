// The engine: depth, accumulation, hooks, history, memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/checkpoint.h"
#include "autograd/function.h"
#include "autograd/gradient_check.h"
#include "autograd/graphviz.h"
#include "autograd/lambda_op.h"
#include "autograd/nan_locator.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/exponential.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/reduce.h"
#include "core/allocator.h"
#include "core/error.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Variable leaf(std::vector<double> values, bool wants = true) {
  return Variable(Tensor::from(values), wants);
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST(Engine, AChainOfAHundredThousandNodesDoesNotOverflowTheStack) {
  const Variable x = leaf({1, 2});
  {
    Variable y = x;
    for (int i = 0; i < 100'000; ++i) y = scale(y, 1);
    backward(sum(y));
  }
  EXPECT_EQ(x.grad().at(0), 1);
  Variable unused = x;  // destroyed without a backward pass
  for (int i = 0; i < 100'000; ++i) unused = scale(unused, 1);
}

TEST(Engine, GradientsAddUpOverUsesAndOverCalls) {
  const Variable x = leaf({3});
  backward(sum(add(mul(x, x), x)));  // 2x + 1
  EXPECT_EQ(x.grad().at(0), 7);
  backward(sum(scale(x, 10)));
  EXPECT_EQ(x.grad().at(0), 17);
}

TEST(Engine, GradientMemoryIsReleasedAsSoonAsItIsConsumed) {
  constexpr int64_t kNumbers = 1 << 16, kBytes = kNumbers * 4, kDepth = 200;
  const Variable x(Tensor::zeros({kNumbers}), true);
  Variable y = x;
  for (int64_t i = 0; i < kDepth; ++i) y = scale(y, 1);
  const Variable loss = sum(y);
  y = {};
  reset_peak();
  const int64_t before = memory_stats().in_use;
  backward(loss);
  // Never one gradient a node: the one that flows, the next one, and x's.
  EXPECT_LE(memory_stats().peak - before, 4 * kBytes);
}

TEST(Engine, ASecondBackwardNeedsTheGraphKept) {
  const Variable x = leaf({2});
  const Variable y = sum(mul(x, x));
  backward(y, {}, {.keep_graph = true});
  backward(y);
  EXPECT_EQ(x.grad().at(0), 8);
  EXPECT_THROW(backward(y), GradientError);
}

TEST(Engine, RefusesWhatHasNoGradient) {
  const Variable x = leaf({2, 3});
  EXPECT_THROW(backward(mul(x, x)), ShapeError);  // no scalar
  EXPECT_THROW(backward(leaf({1}, false)), GradientError);
  Variable hidden;
  {
    const NoGrad no_grad;
    hidden = sum(mul(x, x));
    const EnableGrad again;
    EXPECT_FALSE(sum(x).is_leaf());
  }
  EXPECT_TRUE(hidden.is_leaf());
  EXPECT_TRUE(sum(mul(x.detach(), x.detach())).is_leaf());
  EXPECT_THROW(Variable(Tensor::zeros({1}, DType::i32), true), DTypeError);
}

TEST(Engine, HooksSeeAndReplaceTheWholeGradientInOrder) {
  Variable x = leaf({5});
  std::vector<double> seen;
  x.add_hook([&](const Tensor& grad) {
    seen.push_back(grad.at(0));
    return Tensor::full({1}, 100, DType::f64);
  });
  x.add_hook([&](const Tensor& grad) {
    seen.push_back(grad.at(0));
    return Tensor();
  });
  backward(sum(add(x, scale(x, 2))));
  EXPECT_THAT(seen, ::testing::ElementsAre(3, 100));
  EXPECT_EQ(x.grad().at(0), 100);
}

TEST(Engine, GradientsOfGradients) {
  const Variable x = leaf({0.5, -1.5});
  const auto cube = [](const Variables& v) { return Variables{mul(v[0], mul(v[0], exp(v[0])))}; };
  EXPECT_LE(check_double_gradient(cube, {x}).largest_error, 1e-6);
  const Variables first = gradients(sum(mul(x, x)), {x}, {}, {.create_graph = true});
  EXPECT_EQ(first[0].value().at(1), -3);
  EXPECT_FALSE(x.grad().defined());
  backward(sum(first[0]));
  EXPECT_EQ(x.grad().at(0), 2);
}

TEST(Engine, AnOpFromTwoLambdas) {
  const Variable x = leaf({2, 3});
  const auto square = [](const Tensors& in) {
    Tensor out = in[0].clone();
    for (double& value : out.span<double>()) value *= value;
    return Tensors{out};
  };
  const auto slope = [](const Tensors& in, const Tensors&, const Tensors& grads) {
    Tensor out = in[0].clone();
    for (int64_t i = 0; i < out.numel(); ++i) out.data<double>()[i] *= 2 * grads[0].at(i);
    return Tensors{out};
  };
  const auto op = [&](const Variables& v) { return lambda_op("square", square, slope, v); };
  EXPECT_LE(check_gradient(op, {x}).largest_error, 1e-8);
}

TEST(Engine, GraphvizNamesOpsAndParameters) {
  Variable x = leaf({1});
  x.set_name("encoder.weight");
  const std::string dot = to_graphviz(sum(mul(x, x)));
  EXPECT_THAT(dot, AllOf(HasSubstr("digraph"), HasSubstr("mul"), HasSubstr("sum"),
                         HasSubstr("encoder.weight")));
}

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

TEST(DetectNaN, NamesOpModulePathAndStatistics) {
  const Variable x = leaf({-1, 4});
  const DetectNaN detect;
  const ModuleScope outer("encoder"), inner("layers.3");
  EXPECT_THAT(error_of([&] { log(x); }), AllOf(HasSubstr("forward"), HasSubstr("log"),
                                               HasSubstr("encoder.layers.3"), HasSubstr("min -1")));
  const Variable tiny = leaf({0});
  const Variable root = sum(lambda_op(
      "spike", [](const Tensors& in) { return Tensors{in[0].clone()}; },
      [](const Tensors&, const Tensors&, const Tensors&) {
        return Tensors{Tensor::full({1}, INFINITY, DType::f64)};
      },
      {tiny})[0]);
  EXPECT_THAT(error_of([&] { backward(root); }), AllOf(HasSubstr("backward"), HasSubstr("spike")));
}

}  // namespace filigree
