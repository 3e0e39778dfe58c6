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
#include "tests/error_text.h"

namespace filigree {

namespace {

using testing::error_of;

using ::testing::AllOf;
using ::testing::HasSubstr;

Variable leaf(std::vector<double> values, bool wants = true) {
  return Variable(Tensor::from(values), wants);
}

/// y = x; its backward pass adds to what has come of x's gradient, and says whether anything had.
class Adding final : public Function {
 public:
  explicit Adding(int* taken) : taken_(taken) {}
  std::string_view name() const override { return "adding"; }
  Tensors forward(const Tensors& in) override { return {in[0].clone()}; }
  Tensors backward(const Tensors& grad) override {
    Tensor sum = take_arrived(0);
    if (!sum.defined()) return {grad[0].clone()};
    ++*taken_;
    for (int64_t i = 0; i < sum.numel(); ++i) sum.data<double>()[i] += grad[0].at(i);
    return {sum};
  }

 private:
  int* taken_;
};

}  // namespace

TEST(Engine, AnOpMayAddToWhatHasComeOfItsInputsGradient) {
  int taken = 0, hooked = 0;
  const auto adding = [&](const Variable& x) { return Function::apply<Adding>({x}, &taken); };
  const Variable x = leaf({1, 2});
  Variable y = scale(x, 3);
  y.add_hook([&](const Tensor& grad) {
    EXPECT_EQ(grad.at(0), 5 + 1);
    ++hooked;
    return Tensor();
  });
  const Variable first = adding(y), second = scale(y, 5);  // which comes first on the way back
  backward(sum(add(first, second)));
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(hooked, 1);
  EXPECT_EQ(x.grad().at(0), 18);
  EXPECT_EQ(x.grad().at(1), 18);
}

TEST(Engine, WhatSomebodyElseHoldsIsNotAddedTo) {
  int taken = 0;
  const auto adding = [&](const Variable& x) { return Function::apply<Adding>({x}, &taken); };
  const auto both_of = [&](const Variable& x) {
    const Variable first = adding(x), second = scale(x, 2);
    return sum(add(first, second));
  };
  Variable x = leaf({1, 2});
  const Variable y = scale(x, 1);
  const Tensor seed = Tensor::from(std::vector<double>{1, 10});
  // add() hands its own gradient, the caller's tensor, to both sides.
  const Variable z = adding(y);
  backward(add(z, y), seed);
  EXPECT_EQ(taken, 0);
  EXPECT_EQ(seed.at(1), 10);
  EXPECT_EQ(x.grad().at(1), 20);
  // Nor what goes to several targets, or is a leaf's own gradient.
  const Variables both = gradients(both_of(x), {x, x});
  EXPECT_EQ(both[0].value().at(0), 3);
  EXPECT_EQ(both[1].value().at(0), 3);
  x.zero_grad();
  backward(both_of(x));
  EXPECT_EQ(taken, 0);
  EXPECT_EQ(x.grad().at(0), 3);
  // A target's is, as an op's output is in a walk to the leaves: a checkpoint gives the same bits.
  EXPECT_EQ(gradients(both_of(x), {x})[0].value().at(0), 3);
  EXPECT_EQ(taken, 1);
}

TEST(Engine, LinearAddsToTheGradientOfAResidual) {
  const Variable x(Tensor::from(std::vector<double>{1, 2, 3, 4, 5, 6}, {3, 2}), true),
      weight(Tensor::from(std::vector<double>{1, 0.5, -2, 3}, {2, 2}), true);
  for (const bool product_first : {false, true}) {  // then it comes last on the way back
    const GradientCheck check = check_gradient(
        [&](const Variables& v) -> Variables {
          const Variable y = scale(v[0], 2);
          const Variable before = product_first ? Variable() : scale(y, 1.5);
          const Variable product = linear(y, v[1]);
          return {exp(scale(add(product_first ? scale(y, 1.5) : before, product), 0.1))};
        },
        {x, weight});
    EXPECT_LE(check.largest_error, 1e-8) << check.worst;
  }
}

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

TEST(Engine, AHookMayNotChangeTheKindOfAGradient) {
  Variable x = leaf({5, 6});
  x.set_name("weight");
  x.add_hook([](const Tensor&) { return Tensor::zeros({1}, DType::f64); });
  EXPECT_THAT(error_of([&] { backward(sum(x)); }), AllOf(HasSubstr("hook"), HasSubstr("(1)")));
  Variable y = leaf({5, 6});
  y.add_hook([](const Tensor&) { return Tensor::zeros({2}, DType::f32); });
  EXPECT_THROW(backward(sum(y)), DTypeError);
}

TEST(Engine, GradientsOfTheSameInputTwiceAndOfInnerVariables) {
  Variable x = leaf({3});
  x.add_hook([](const Tensor& grad) { return scale(Variable(grad), 10).value(); });
  const Variable y = mul(x, x);
  const Variable seed(Tensor::full({1}, 1, DType::f64));
  const Variables found = gradients(mul(y, y), {x, x, y, y}, seed);  // x^4
  EXPECT_EQ(found[0].value().at(0), 10 * 4 * 27);
  EXPECT_EQ(found[1].value().at(0), 10 * 4 * 27);
  EXPECT_EQ(found[2].value().at(0), 2 * 9);
  EXPECT_EQ(found[3].value().at(0), 2 * 9);
  EXPECT_EQ(seed.value().at(0), 1) << "the caller's seed is theirs";
  EXPECT_FALSE(x.grad().defined());
  const Variable z = scale(x, 2);
  Variables both = gradients(sum(add(x, z)), {x, z});
  both[0].value().fill(7);
  EXPECT_EQ(both[1].value().at(0), 1) << "each result has its own memory";
}

TEST(Engine, SeedsAreAsManyAsRoots) {
  const Variable x = leaf({3});
  EXPECT_THROW(backward_all({scale(x, 2), x}, {Tensor::full({1}, 1, DType::f64)}), ShapeError);
}

TEST(Engine, TwoInputsOfOneStorageHaveTheirOwnHistories) {
  const Variable x = leaf({3});  // d/dx (x' x) = x' where x' is x without history: no slope
  const Variables first = gradients(sum(mul(x.detach(), x)), {x}, {}, {.create_graph = true});
  EXPECT_FALSE(first[0].requires_grad());
  const Variables other =
      gradients(sum(mul(x, mul(x.detach(), x))), {x}, {}, {.create_graph = true});
  EXPECT_EQ(other[0].value().at(0), 18);  // 2 x' x
  EXPECT_EQ(gradients(other[0], {x})[0].value().at(0), 6);
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
