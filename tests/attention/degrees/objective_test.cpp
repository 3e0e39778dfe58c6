// The objectives of density against literal values, and whether they lead where they are to.
#include "attention/degrees/objective.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "attention/degrees/density.h"
#include "attention/degrees/distribution.h"
#include "core/error.h"
#include "tests/error_text.h"

namespace filigree {
namespace {

using ::filigree::testing::error_of;
using ::testing::HasSubstr;

constexpr ObjectiveKind kTarget = ObjectiveKind::target, kPenalty = ObjectiveKind::penalty;

}  // namespace

TEST(DensityObjective, Schedules) {
  const DensityObjective objective{kTarget, 0, 0.2, 101};
  EXPECT_DOUBLE_EQ(objective.allowed(0), 1);
  EXPECT_DOUBLE_EQ(objective.allowed(25), 0.2 + 0.8 * 0.125);
  EXPECT_DOUBLE_EQ(objective.allowed(50), 0.2);
  EXPECT_DOUBLE_EQ(objective.allowed(100), 0.2);
  EXPECT_DOUBLE_EQ(objective.stiffness(0), 1);
  EXPECT_DOUBLE_EQ(objective.stiffness(50), 10);
  EXPECT_DOUBLE_EQ(objective.stiffness(100), 100);
  EXPECT_DOUBLE_EQ(objective.stiffness(1000), 100);  // a finetune after it keeps the end
  const DensityObjective at_once{kTarget, 0, 0.2, 101, 0}, slow{kTarget, 0, 0.2, 101, 1};
  EXPECT_DOUBLE_EQ(at_once.allowed(0), 0.2);
  EXPECT_DOUBLE_EQ(slow.allowed(50), 0.2 + 0.8 * 0.125);
  EXPECT_DOUBLE_EQ(slow.allowed(100), 0.2);
  const DensityObjective one{kTarget, 0, 0.2, 1};
  EXPECT_DOUBLE_EQ(one.allowed(0), 0.2);
  EXPECT_DOUBLE_EQ(one.stiffness(0), 100);
}

TEST(DensityObjective, Values) {
  const DensityObjective penalty{kPenalty, 3, 0.2, 101};
  EXPECT_DOUBLE_EQ(penalty.at(10, 0.25, 0.1, {}).value, 0.2 * 0.75);
  EXPECT_DOUBLE_EQ(penalty.at(10, 0.25, 0.1, {}).slope, 0.6);
  EXPECT_DOUBLE_EQ(penalty.at(50, 0.25, 0.1, {}).value, 0.75);
  EXPECT_DOUBLE_EQ(penalty.at(100, 0.25, 0.1, {}).slope, 3);

  const DensityObjective target{kTarget, 0, 0.2, 101};
  const ObjectiveState pressed{0.5};
  // mu = 10, rho* = 0.2: lambda + mu (rho - rho*) is 1.5, then -0.5.
  EXPECT_NEAR(target.at(50, 0.3, 0.1, pressed).value, 0.5 * 0.1 + 10 * 0.01 / 2, 1e-15);
  EXPECT_NEAR(target.at(50, 0.3, 0.1, pressed).slope, 1.5, 1e-15);
  EXPECT_NEAR(target.at(50, 0.1, 0.1, pressed).value, -0.5 * 0.1 + 10 * 0.01 / 2, 1e-15);
  EXPECT_NEAR(target.at(50, 0.1, 0.1, pressed).slope, -0.5, 1e-15);
  EXPECT_EQ(target.at(50, 0.2, 0.1, {}).value, 0);  // met, and never pressed
}

TEST(DensityObjective, SlopeIsTheDerivative) {
  for (const ObjectiveKind kind : {kTarget, kPenalty, ObjectiveKind::loss}) {
    const DensityObjective objective{kind, 0.7, 0.1, 40, 0.5, 0.2};
    for (int64_t step = 0; step < 40; ++step) {
      for (double rho = 0.013; rho < 1; rho += 0.05) {
        const ObjectiveState state{0.3};
        const double above = objective.at(step, rho + 1e-6, 0.1, state).value;
        const double below = objective.at(step, rho - 1e-6, 0.1, state).value;
        ASSERT_NEAR(objective.at(step, rho, 0.1, state).slope, (above - below) / 2e-6, 1e-4);
      }
    }
  }
}

TEST(DensityObjective, TheMultiplierMovesEveryFiftySteps) {
  const DensityObjective objective{kTarget, 0, 0.2, 101};
  ObjectiveState state;
  for (int64_t step = 0; step < 49; ++step) objective.advance(step, 0.9, 1, state);
  EXPECT_EQ(state.multiplier, 0);
  objective.advance(49, 0.9, 1, state);
  EXPECT_DOUBLE_EQ(state.multiplier, objective.at(49, 0.9, 0.1, {}).slope);
  const double first = state.multiplier;
  EXPECT_GT(first, 0);
  objective.advance(99, 0.21, 1, state);
  EXPECT_NEAR(state.multiplier, first + objective.stiffness(99) * 0.01, 1e-12);
  objective.advance(149, 0.1, 1, state);
  EXPECT_NEAR(state.multiplier, first + objective.stiffness(99) * 0.01 - 10, 1e-12);
  EXPECT_LT(state.multiplier, 0);  // below the target it pulls

  const DensityObjective penalty{kPenalty, 1, 0.2, 101};
  const double before = state.multiplier;
  penalty.advance(49, 0.9, 1, state);
  EXPECT_EQ(state.multiplier, before);
}

TEST(DensityObjective, ThePriceFollowsTheLoss) {
  const DensityObjective objective{ObjectiveKind::loss, 50, 1, 100, 0.5, 0.2};
  ObjectiveState state;
  EXPECT_DOUBLE_EQ(objective.at(0, 0.3, 0, state).value, 0.15);
  EXPECT_DOUBLE_EQ(objective.at(0, 0.3, 0.05, state).slope, 0.5 * 0.75);
  objective.advance(0, 0.3, 0, state);
  EXPECT_DOUBLE_EQ(state.multiplier, 0.02);
  EXPECT_DOUBLE_EQ(objective.at(1, 0.3, 0, state).slope, 0.5 * std::exp(0.02));
  for (const double loss : {0.2, 0.3, double{INFINITY}}) {  // no price where the task is not solved
    EXPECT_EQ(objective.at(1, 0.3, loss, state).slope, 0);
  }
  objective.advance(1, 0.3, 0.2, state);  // at the limit it stands still
  EXPECT_DOUBLE_EQ(state.multiplier, 0.02);
  objective.advance(2, 0.3, 0.4, state);
  EXPECT_NEAR(state.multiplier, 0, 1e-15);
  objective.advance(3, 0.3, 50, state);
  EXPECT_NEAR(state.multiplier, -0.1, 1e-15);
  for (int step = 4; step < 1000; ++step) objective.advance(step, 0.3, 0, state);
  EXPECT_DOUBLE_EQ(objective.at(1000, 0.3, 0, state).slope, 50);  // the highest price
  EXPECT_THROW(objective.advance(4, 0.3, INFINITY, state), NumericError);
  EXPECT_THROW((DensityObjective{ObjectiveKind::loss, 0.5, 1, 10}.check()), ConfigError);
  EXPECT_THROW((DensityObjective{ObjectiveKind::loss, 0, 1, 10, 0.5, 0.2}.check()), ConfigError);
  EXPECT_EQ(parse_objective("loss"), ObjectiveKind::loss);
}

// Two heads that profit from near tokens and one that profits from all, more than the targets
// allow: gradient descent on the logits keeps the target, spends it, and takes it from the third
// head.
TEST(DensityObjective, LearnsTheTargetDensity) {
  const Reaches reaches = Reaches::up_to(31);
  DistanceCounts counts(reaches.largest());
  counts.add(64, std::vector<int32_t>{0});
  counts.add(40, std::vector<int32_t>{0, 7});
  const std::vector<double> slope = counts.density_gradient();
  const std::vector<double> wish{2, 4, 31};  // reaches that the heads profit from
  for (const double density : {0.35, 0.3, 0.25}) {
    const DensityObjective objective{kTarget, 0, density, 4000};
    ObjectiveState state;
    std::vector<std::vector<double>> theta(wish.size(),
                                           std::vector<double>(static_cast<size_t>(32)));
    std::vector<double> mean(wish.size());
    double rho = 0;
    for (int64_t step = 0; step < objective.steps; ++step) {
      rho = 0;
      std::vector<std::vector<double>> p, g;
      for (size_t h = 0; h < wish.size(); ++h) {
        p.push_back(reach_probabilities(theta[h]));
        g.push_back(reach_tail(p[h], reaches));
        rho += counts.density(g[h]) / static_cast<double>(wish.size());
        mean[h] = mean_reach(g[h]);
      }
      const ObjectiveValue cost = objective.at(step, rho, 0.1, state);
      for (size_t h = 0; h < wish.size(); ++h) {
        std::vector<double> dg(g[h].size());
        for (size_t d = 1; d < dg.size(); ++d) {
          const double gain = static_cast<double>(d) <= wish[h] ? 0.05 / (1 + 0.1 * d) : 0;
          dg[d] = cost.slope * slope[d] / static_cast<double>(wish.size()) - gain;
        }
        const std::vector<double> step_down =
            logit_gradient(p[h], probability_gradient(dg, reaches));
        for (size_t k = 0; k < step_down.size(); ++k) theta[h][k] -= 0.5 * step_down[k];
      }
      objective.advance(step, rho, 1, state);
    }
    EXPECT_LE(rho, density + 0.001) << density;
    EXPECT_GE(rho, density - 0.01) << density;
    EXPECT_GT(state.multiplier, 0);
    EXPECT_NEAR(mean[0], wish[0], 0.1);
    EXPECT_NEAR(mean[1], wish[1], 0.1);
    EXPECT_GT(mean[2], 10);
    EXPECT_LT(mean[2], 28);
  }
}

TEST(DensityObjective, GoesOnFromWhatWasSaved) {
  const DensityObjective objective{kTarget, 0, 0.1, 1000};
  const auto density_at = [](int64_t step) { return 0.5 - 0.0004 * static_cast<double>(step); };
  ObjectiveState whole, saved;
  for (int64_t step = 0; step < 1000; ++step) {
    objective.advance(step, density_at(step), 1, whole);
    if (step == 523) saved = whole;
  }
  for (int64_t step = 524; step < 1000; ++step) objective.advance(step, density_at(step), 1, saved);
  EXPECT_GT(whole.multiplier, 0);
  EXPECT_EQ(saved.multiplier, whole.multiplier);
}

TEST(DensityObjective, WrongInputIsRefused) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NO_THROW((DensityObjective{kTarget, 0, 1, 1}.check()));
  for (const double density : {0.0, -0.1, 1.1, kNan}) {
    EXPECT_THROW((DensityObjective{kTarget, 0, density, 10}.check()), ConfigError);
  }
  for (const double beta : {-1.0, kNan, double{INFINITY}}) {
    EXPECT_THROW((DensityObjective{kPenalty, beta, 1, 10}.check()), ConfigError);
  }
  EXPECT_THROW((DensityObjective{kTarget, 0, 1, 10, 1.5}.check()), ConfigError);
  EXPECT_THAT(error_of([] {
                DensityObjective{kTarget, 0, 1, 0}.check();
              }),
              HasSubstr("degrees learned in 0 steps\nhint: give at least 1 step"));
  ObjectiveState state;
  const DensityObjective objective{kTarget, 0, 0.1, 10};
  EXPECT_THROW(objective.at(0, kNan, 0.1, state), NumericError);
  EXPECT_THROW(objective.advance(49, INFINITY, 1, state), NumericError);
  EXPECT_EQ(parse_objective("target"), kTarget);
  EXPECT_EQ(parse_objective("penalty"), kPenalty);
  EXPECT_THAT(error_of([] { parse_objective("targets"); }),
              HasSubstr("the nearest name is \"target\""));
  EXPECT_THAT(error_of([] { parse_objective("x"); }), HasSubstr("hint: target, penalty or loss"));
}

}  // namespace filigree
