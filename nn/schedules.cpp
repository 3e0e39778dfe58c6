#include "nn/schedules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

#include "core/error.h"

namespace filigree {

double Schedule::factor(int64_t step) const {
  const auto at = static_cast<double>(step);
  if (step < warmup) return (at + 1) / static_cast<double>(warmup);
  if (kind == ScheduleKind::inverse_sqrt) {
    return std::sqrt(static_cast<double>(std::max<int64_t>(1, warmup)) / (at + 1));
  }
  const auto rest = static_cast<double>(std::max<int64_t>(1, steps - warmup));
  const double x = std::clamp((at - static_cast<double>(warmup)) / rest, 0.0, 1.0);
  switch (kind) {
    case ScheduleKind::linear:
      return 1 - (1 - floor) * x;
    case ScheduleKind::cosine:
      return floor + (1 - floor) * (1 + std::cos(std::numbers::pi * x)) / 2;
    case ScheduleKind::wsd: {
      const double length = std::max(1.0, decay * static_cast<double>(steps));
      const double start = static_cast<double>(steps) - length;
      return at <= start ? 1 : std::max(floor, 1 - (1 - floor) * (at - start) / length);
    }
    default:
      return 1;
  }
}

ScheduleKind parse_schedule(std::string_view name) {
  static const std::array<std::string, 5> kNames{"constant", "linear", "cosine", "inverse_sqrt",
                                                 "wsd"};
  for (size_t k = 0; k < kNames.size(); ++k) {
    if (kNames[k] == name) return static_cast<ScheduleKind>(k);
  }
  const std::string nearest = nearest_name(name, kNames);
  throw ConfigError("schedule", fmt::format("there is no schedule \"{}\"", name),
                    nearest.empty() ? "constant, linear, cosine, inverse_sqrt or wsd"
                                    : fmt::format("the nearest name is \"{}\"", nearest));
}

}  // namespace filigree
