// Learning-rate schedules against literal values.
#include "nn/schedules.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

#include "core/error.h"

namespace filigree {
namespace {

using testing::HasSubstr;

void expect_factors(const Schedule& schedule, const std::vector<double>& want) {
  for (size_t step = 0; step < want.size(); ++step) {
    EXPECT_NEAR(schedule.factor(static_cast<int64_t>(step)), want[step], 1e-15) << "step " << step;
  }
}

Schedule make(ScheduleKind kind, int64_t steps, int64_t warmup, double floor = 0) {
  return {kind, steps, warmup, floor, 0.1};
}

TEST(Schedules, Constant) {
  expect_factors(make(ScheduleKind::constant, 6, 0), {1, 1, 1, 1, 1, 1});
  expect_factors(make(ScheduleKind::constant, 6, 4, 0.5), {0.25, 0.5, 0.75, 1, 1, 1});
}

TEST(Schedules, Linear) {
  expect_factors(make(ScheduleKind::linear, 5, 0), {1, 0.8, 0.6, 0.4, 0.2});
  expect_factors(make(ScheduleKind::linear, 10, 2),
                 {0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125});
  expect_factors(make(ScheduleKind::linear, 4, 0, 0.2), {1, 0.8, 0.6, 0.4});
}

TEST(Schedules, Cosine) {
  const double root = std::sqrt(0.5);
  expect_factors(make(ScheduleKind::cosine, 4, 0), {1, (1 + root) / 2, 0.5, (1 - root) / 2});
  expect_factors(make(ScheduleKind::cosine, 8, 2),
                 {0.5, 1, 1, 0.933012701892219323, 0.75, 0.5, 0.25, 0.066987298107780677});
  expect_factors(make(ScheduleKind::cosine, 2, 0, 0.1), {1, 0.55});
}

TEST(Schedules, InverseSquareRoot) {
  expect_factors(
      make(ScheduleKind::inverse_sqrt, 20, 4),
      {0.25, 0.5, 0.75, 1, std::sqrt(0.8), std::sqrt(4 / 6.0), std::sqrt(4 / 7.0), std::sqrt(0.5)});
  EXPECT_NEAR(make(ScheduleKind::inverse_sqrt, 20, 4).factor(15), 0.5, 1e-15);
  // Without a warm-up it starts at 1.
  expect_factors(make(ScheduleKind::inverse_sqrt, 9, 0),
                 {1, std::sqrt(0.5), std::sqrt(1 / 3.0), 0.5});
}

TEST(Schedules, WarmupStableDecay) {
  Schedule schedule = make(ScheduleKind::wsd, 10, 2);
  schedule.decay = 0.4;
  expect_factors(schedule, {0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25});
  schedule.floor = 0.2;
  expect_factors(schedule, {0.5, 1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4});
  schedule.decay = 0;  // shorter than a step: never within the run
  EXPECT_EQ(schedule.factor(9), 1);
}

// A step beyond the last one stays at the end, however far.
TEST(Schedules, EndAtTheFloor) {
  for (const auto kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::wsd}) {
    const Schedule schedule = make(kind, 10, 2, 0.25);
    EXPECT_NEAR(schedule.factor(10), 0.25, 1e-15);
    EXPECT_NEAR(schedule.factor(1000), 0.25, 1e-15);
  }
}

TEST(Schedules, StayWithinZeroAndOneAndNeverRiseAfterTheWarmup) {
  for (const auto kind : {ScheduleKind::constant, ScheduleKind::linear, ScheduleKind::cosine,
                          ScheduleKind::inverse_sqrt, ScheduleKind::wsd}) {
    for (const int64_t steps : {1, 2, 7, 100}) {
      for (const int64_t warmup : {int64_t{0}, int64_t{1}, steps / 2, steps, steps + 3}) {
        const Schedule schedule = make(kind, steps, warmup);
        for (int64_t step = 0; step < steps; ++step) {
          const double factor = schedule.factor(step);
          ASSERT_GT(factor, 0) << "the step would be wasted";
          ASSERT_LE(factor, 1);
          if (step == 0) continue;
          const double before = schedule.factor(step - 1);
          if (step < warmup) {
            ASSERT_GT(factor, before);
          } else {
            ASSERT_LE(factor, std::max(before, step == warmup ? 1 : before) + 1e-15);
          }
        }
      }
    }
  }
}

TEST(Schedules, NamesAndTheNearestName) {
  EXPECT_EQ(parse_schedule("constant"), ScheduleKind::constant);
  EXPECT_EQ(parse_schedule("linear"), ScheduleKind::linear);
  EXPECT_EQ(parse_schedule("cosine"), ScheduleKind::cosine);
  EXPECT_EQ(parse_schedule("inverse_sqrt"), ScheduleKind::inverse_sqrt);
  EXPECT_EQ(parse_schedule("wsd"), ScheduleKind::wsd);
  const auto message = [](const char* name) -> std::string {
    try {
      parse_schedule(name);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("cosin"), HasSubstr("\"cosine\""));
  EXPECT_THAT(message("exponential"), HasSubstr("inverse_sqrt or wsd"));
  EXPECT_THAT(message(""), HasSubstr("there is no schedule"));
}

}  // namespace
}  // namespace filigree
