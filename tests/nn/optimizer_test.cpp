// AdamW and SGD against recurrences written out in double, and their state.
#include "nn/optimizer.h"

#include <cmath>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "autograd/backward.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "tests/nn/small_model.h"

namespace filigree {
namespace {

using namespace testing_nn;
using testing::AllOf;
using testing::HasSubstr;

/// A matrix, which decays, and a vector, which does not, as free parameters.
struct Pair {
  explicit Pair(DType dtype = DType::f64)
      : matrix(Tensor::from(std::vector<double>{0.5, -1.5, 2, 0}, {2, 2}).to(dtype), true),
        vector(Tensor::from(std::vector<double>{1, -0.25}).to(dtype), true) {}
  NamedParameters named() const {
    return {{"matrix", matrix}, {"vector", vector, ParameterKind::offset}};
  }
  /// Gradients of step t, some of them 0 or tiny.
  void set_gradients(int64_t t) {
    for (Variable* parameter : {&matrix, &vector}) {
      Tensor gradient(parameter->shape(), DType::f64);
      for (int64_t i = 0; i < gradient.numel(); ++i) {
        gradient.data<double>()[i] = gradient_at(t, i);
      }
      parameter->grad() = gradient.to(parameter->dtype());
    }
  }
  static double gradient_at(int64_t t, int64_t i) {
    if (i == 3) return 1e-9;
    return i == 1 && t % 2 == 0 ? 0 : std::sin(static_cast<double>(3 * t + i));
  }
  Variable matrix, vector;
};

// The algorithm of arXiv 1711.05101 (Algorithm 2), line by line, one entry at a time.
TEST(AdamW, FollowsTheLiteralRecurrence) {
  constexpr double kBeta1 = 0.8, kBeta2 = 0.95, kEps = 1e-6, kDecay = 0.1, kScale = 0.5;
  Pair pair;
  const auto optimizer = make_adamw(pair.named(), {kBeta1, kBeta2, kEps, kDecay});
  std::vector<Variable> parameters{pair.matrix, pair.vector};
  std::vector<std::vector<double>> w(2), m(2), v(2);
  for (size_t p = 0; p < 2; ++p) {
    for (const double x : parameters[p].value().span<double>()) w[p].push_back(x);
    m[p].resize(w[p].size());
    v[p].resize(w[p].size());
  }
  for (int64_t t = 1; t <= 20; ++t) {
    const double rate = 0.1 / static_cast<double>(t);
    pair.set_gradients(t);
    optimizer->step(rate, kScale);
    for (size_t p = 0; p < 2; ++p) {
      for (size_t i = 0; i < w[p].size(); ++i) {
        const double g = kScale * Pair::gradient_at(t, static_cast<int64_t>(i));
        m[p][i] = kBeta1 * m[p][i] + (1 - kBeta1) * g;
        v[p][i] = kBeta2 * v[p][i] + (1 - kBeta2) * g * g;
        const double m_hat = m[p][i] / (1 - std::pow(kBeta1, t));
        const double v_hat = v[p][i] / (1 - std::pow(kBeta2, t));
        const double decay = p == 0 ? kDecay : 0;
        w[p][i] -= rate * (m_hat / (std::sqrt(v_hat) + kEps) + decay * w[p][i]);
        ASSERT_NEAR(parameters[p].value().at(static_cast<int64_t>(i)), w[p][i], 1e-14)
            << "parameter " << p << ", entry " << i << ", step " << t;
      }
    }
  }
}

// The bias correction makes the first step one learning rate long whatever the gradient's size: to
// the last few bits in float too, where 1 - 0.999 is easily taken from a rounded 0.999.
TEST(AdamW, FirstStepIsOneLearningRateLong) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    Variable x(Tensor::zeros({3}, dtype), true);
    x.grad() = Tensor::from(std::vector<double>{5, -0.01, 300}).to(dtype);
    make_adamw({{"x", x}}, {.eps = 1e-30, .weight_decay = 0})->step(0.001);
    const double tolerance = dtype == DType::f64 ? 1e-15 : 1e-9;
    EXPECT_NEAR(x.value().at(0), -0.001, tolerance);
    EXPECT_NEAR(x.value().at(1), 0.001, tolerance);
    EXPECT_NEAR(x.value().at(2), -0.001, tolerance);
  }
}

TEST(Sgd, FollowsTheLiteralRecurrence) {
  constexpr double kMomentum = 0.9, kDecay = 0.1, kScale = 2;
  Pair pair;
  const auto optimizer = make_sgd(pair.named(), {kMomentum, kDecay});
  std::vector<Variable> parameters{pair.matrix, pair.vector};
  std::vector<std::vector<double>> w(2), u(2);
  for (size_t p = 0; p < 2; ++p) {
    for (const double x : parameters[p].value().span<double>()) w[p].push_back(x);
    u[p].resize(w[p].size());
  }
  for (int64_t t = 1; t <= 10; ++t) {
    pair.set_gradients(t);
    optimizer->step(0.05, kScale);
    for (size_t p = 0; p < 2; ++p) {
      for (size_t i = 0; i < w[p].size(); ++i) {
        const double g = kScale * Pair::gradient_at(t, static_cast<int64_t>(i));
        u[p][i] = kMomentum * u[p][i] + g + (p == 0 ? kDecay : 0) * w[p][i];
        w[p][i] -= 0.05 * u[p][i];
        ASSERT_NEAR(parameters[p].value().at(static_cast<int64_t>(i)), w[p][i], 1e-13);
      }
    }
  }
}

TEST(Sgd, PlainStepIsTheGradient) {
  Variable x(Tensor::from(std::vector<double>{1, 2}), true);
  x.grad() = Tensor::from(std::vector<double>{4, -8});
  make_sgd({{"x", x}})->step(0.25);
  EXPECT_EQ(x.value().at(0), 0);
  EXPECT_EQ(x.value().at(1), 4);
}

TEST(Optimizer, OnlyMatricesDecay) {
  EncoderConfig config = small_config();
  config.relative_bias = 3;
  Encoder model(config);
  for (const auto& [name, parameter, kind] : model.named_parameters()) {
    const bool bias_or_norm = name.ends_with("bias") || name.find("norm") != std::string::npos;
    EXPECT_EQ(kind == ParameterKind::weight, !bias_or_norm) << name;
  }
}

TEST(Optimizer, RefusesWhatCannotStep) {
  const Pair pair(DType::f32);
  EXPECT_NO_THROW(make_adamw(pair.named()));
  EXPECT_THROW(make_adamw(pair.named(), {.beta2 = 1 - 1e-9}), ConfigError);  // 1 in float
  EXPECT_NO_THROW(make_adamw(Pair(DType::f64).named(), {.beta2 = 1 - 1e-9}));
  EXPECT_THROW(make_adamw(pair.named(), {.beta1 = -0.1}), ConfigError);
  EXPECT_THROW(make_adamw(pair.named(), {.eps = 0}), ConfigError);
  EXPECT_THROW(make_adamw(pair.named(), {.weight_decay = -1}), ConfigError);
  EXPECT_THROW(make_adamw({{"a", pair.matrix}, {"a", pair.vector}}), ConfigError);
  EXPECT_THROW(make_sgd({{"a", pair.matrix}, {"b", pair.matrix}}), ConfigError);
}

TEST(Optimizer, AGradientOfAnotherShapeIsAnError) {
  Pair pair;
  pair.matrix.grad() = Tensor::zeros({2}, DType::f64);
  EXPECT_THROW(make_adamw(pair.named())->step(0.1), ShapeError);
  pair.matrix.grad() = Tensor::zeros({2, 2}, DType::f32);
  EXPECT_THROW(make_sgd(pair.named())->step(0.1), DTypeError);
}

TEST(Optimizer, LeavesAloneWhatHasNoGradient) {
  for (const bool adam : {true, false}) {
    Pair pair;
    const auto optimizer = adam ? make_adamw(pair.named()) : make_sgd(pair.named(), {0.9, 0.1});
    pair.set_gradients(1);
    pair.matrix.zero_grad();
    const Tensor before = pair.matrix.value().clone(), vector = pair.vector.value().clone();
    optimizer->step(0.1);
    EXPECT_TRUE(same_bits(pair.matrix.value(), before));
    EXPECT_FALSE(same_bits(pair.vector.value(), vector));
    optimizer->zero_grad();
    EXPECT_FALSE(pair.vector.grad().defined());
  }
}

TEST(Optimizer, GradientNormIsOverEveryGradient) {
  Pair pair;
  const auto optimizer = make_adamw(pair.named());
  EXPECT_EQ(optimizer->gradient_norm(), 0);
  pair.matrix.grad() = Tensor::from(std::vector<double>{1, 2, 2, 0}, {2, 2});
  EXPECT_DOUBLE_EQ(optimizer->gradient_norm(), 3);
  pair.vector.grad() = Tensor::from(std::vector<double>{0, 4});
  EXPECT_DOUBLE_EQ(optimizer->gradient_norm(), 5);
  // Summed in double: a float sum of squares would overflow.
  Variable large(Tensor::zeros({2}), true);
  large.grad() = Tensor::from(std::vector<float>{3e30F, 4e30F});
  EXPECT_NEAR(make_sgd({{"x", large}})->gradient_norm() / 5e30, 1, 1e-7);
}

TEST(Optimizer, StateNames) {
  std::vector<std::string> names;
  const auto collect = [&](const Optimizer& optimizer) {
    for (const auto& [name, tensor] : optimizer.state_dict()) names.push_back(name);
  };
  collect(*make_adamw(Pair().named()));
  collect(*make_sgd(Pair().named()));
  EXPECT_THAT(names, testing::ElementsAre("adamw.m.matrix", "adamw.m.vector", "adamw.steps",
                                          "adamw.v.matrix", "adamw.v.vector", "sgd.velocity.matrix",
                                          "sgd.velocity.vector"));
}

// Five steps, a file, five more steps in new objects: the bits of ten steps.
TEST(Optimizer, SavedAndLoadedStateGoesOnWithTheSameBits) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("filigree-optimizer-" + std::to_string(::getpid()) + ".safetensors");
  for (const bool adam : {true, false}) {
    const auto make = [&](const Pair& pair) {
      return adam ? make_adamw(pair.named()) : make_sgd(pair.named(), {0.9, 0.1});
    };
    Pair whole(DType::f32), first(DType::f32), second(DType::f32);
    const auto run = [](Pair& pair, Optimizer& optimizer, int64_t from, int64_t to) {
      for (int64_t t = from; t < to; ++t) {
        pair.set_gradients(t);
        optimizer.step(0.01);
      }
    };
    run(whole, *make(whole), 0, 10);
    const auto before = make(first);
    run(first, *before, 0, 5);
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : before->state_dict()) writer.add(name, tensor);
    writer.save(path);

    const SafetensorsFile file(path);
    StateDict state;
    for (const auto& [name, entry] : file.entries()) state[name] = file.tensor(name);
    const auto after = make(second);
    after->load_state_dict(state);
    second.matrix.value().copy_from(first.matrix.value());
    second.vector.value().copy_from(first.vector.value());
    run(second, *after, 5, 10);
    EXPECT_TRUE(same_bits(second.matrix.value(), whole.matrix.value()));
    EXPECT_TRUE(same_bits(second.vector.value(), whole.vector.value()));
  }
  std::filesystem::remove(path);
}

TEST(Optimizer, LoadingIsStrict) {
  Pair pair;
  const auto optimizer = make_adamw(pair.named());
  pair.set_gradients(1);
  optimizer->step(0.1);
  const StateDict before = copy_of(optimizer->state_dict());
  StateDict state = copy_of(before);
  for (auto& [name, tensor] : state) tensor.fill(9);
  state.erase("adamw.m.vector");
  state["adamw.v.matrix"] = Tensor::zeros({3}, DType::f64);
  state["sgd.velocity.matrix"] = Tensor::zeros({1});
  try {
    optimizer->load_state_dict(state);
    FAIL() << "no error";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("missing    adamw.m.vector"),
                                    HasSubstr("misshapen  adamw.v.matrix"),
                                    HasSubstr("unexpected sgd.velocity.matrix")));
  }
  expect_same_bits(before, optimizer->state_dict());
}

}  // namespace
// A step that the numbers refuse changes nothing, and taken back it never was: the next one has the
// same bits as without it.
TEST(Optimizer, ARefusedStepThatIsTakenBackLeavesNoTrace) {
  for (const std::string kind : {"adamw", "sgd"}) {
    const auto train = [&](bool refuse) {
      const Variable x(Tensor::from(std::vector<float>{1, -2, 3}), true);
      const NamedParameters parameters{{"x", x}};
      const auto optimizer =
          kind == "adamw" ? make_adamw(parameters) : make_sgd(parameters, {.momentum = 0.9});
      const auto step = [&](double gradient, double loss) {
        optimizer->zero_grad();
        backward(x, Tensor::full({3}, gradient));
        const Tensor losses[] = {Tensor::full({}, loss)};
        const Tensor numbers = optimizer->judge(losses, 1.0);
        EXPECT_EQ(std::isnan(numbers.at(2)), !std::isfinite(gradient) || !std::isfinite(loss));
        const Tensor before = x.value().clone();
        optimizer->step(0.1, numbers);
        if (!std::isnan(numbers.at(2))) {
          EXPECT_NEAR(numbers.at(2), std::min(1.0, 1 / (std::sqrt(3.0) * gradient)), 1e-7);
          EXPECT_NE(x.value().at(0), before.at(0));
          return;
        }
        EXPECT_EQ(std::memcmp(x.value().raw(), before.raw(), 12), 0);
        optimizer->take_back();
      };
      step(0.25, 1);
      if (refuse) step(NAN, 1);
      if (refuse) step(0.5, INFINITY);
      step(2, 1);  // clipped
      return x.value().clone();
    };
    const Tensor straight = train(false), refused = train(true);
    EXPECT_EQ(std::memcmp(straight.raw(), refused.raw(), 12), 0) << kind;
  }
}

}  // namespace filigree
