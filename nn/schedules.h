// Learning-rate schedules: pure functions of the step.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace filigree {

enum class ScheduleKind : uint8_t { constant, linear, cosine, inverse_sqrt, wsd };

/// Factor of the peak learning rate at a step (0 .. steps-1). Warm-up: (step+1) / warmup, linear
/// from above 0. After it, with x the share of the remaining steps that has passed:
///   constant 1; linear 1 - (1 - floor) x; cosine floor + (1 - floor)(1 + cos pi x) / 2;
///   inverse_sqrt sqrt(warmup / (step + 1)), warmup at least 1;
///   wsd 1 until the last `decay` share of all steps, then linear to floor (arXiv 2404.06395).
struct Schedule {
  ScheduleKind kind = ScheduleKind::linear;
  int64_t steps = 1;
  int64_t warmup = 0;
  double floor = 0;
  double decay = 0.1;

  double factor(int64_t step) const;
};

/// Throws ConfigError with the nearest name.
ScheduleKind parse_schedule(std::string_view name);

}  // namespace filigree
