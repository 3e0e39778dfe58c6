#include "attention/degrees/harden.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include "attention/degrees/distribution.h"
#include "attention/degrees/water_filling.h"
#include "core/error.h"
#include "core/random.h"

namespace filigree {

namespace {

/// reach_of(p) for every head.
template <class ReachOf>
std::vector<HardReach> head_by_head(const LearnedDegrees& learned, ReachOf reach_of) {
  std::vector<HardReach> hard;
  for (const std::vector<double>& p : learned.p) hard.emplace_back(reach_of(p));
  return hard;
}

std::vector<HardReach> by_argmax(const LearnedDegrees& learned, const HardenOptions&) {
  return head_by_head(learned, [&](const std::vector<double>& p) {
    return learned.reaches[std::max_element(p.begin(), p.end()) - p.begin()];
  });
}

std::vector<HardReach> by_median(const LearnedDegrees& learned, const HardenOptions&) {
  return head_by_head(learned, [&](const std::vector<double>& p) {
    const std::vector<double> g = reach_tail(p, learned.reaches);
    const auto below = std::partition_point(g.begin(), g.end(), [](double x) { return x >= 0.5; });
    return static_cast<int64_t>(below - g.begin()) - 1;
  });
}

std::vector<HardReach> by_mean(const LearnedDegrees& learned, const HardenOptions&) {
  return head_by_head(learned, [&](const std::vector<double>& p) {
    // Single precision may leave a sum a little above 1.
    const int64_t mean = std::llround(mean_reach(p, learned.reaches));
    return std::min(mean, learned.reaches.largest());
  });
}

std::vector<HardReach> by_water_filling(const LearnedDegrees& learned,
                                        const HardenOptions& options) {
  if (options.counts == nullptr) {
    throw ConfigError("degrees", "water filling without the distances of a split",
                      "count them (DistanceCounts), and give a budget of edges");
  }
  std::vector<std::vector<double>> tails;
  for (const std::vector<double>& p : learned.p) tails.push_back(reach_tail(p, learned.reaches));
  std::vector<HardReach> hard;
  for (const int64_t reach : water_filling(tails, *options.counts, options.budget)) {
    hard.emplace_back(reach);
  }
  return hard;
}

/// The head whose next distance is worth most; -1 if there is none.
int64_t next_head(const LearnedDegrees& learned, const std::vector<HardReach>& hard,
                  const DistanceCounts& counts) {
  int64_t best = -1;
  double most = 0;
  for (size_t h = 0; h < hard.size(); ++h) {
    const int64_t next = hard[h].largest() + 1;
    if (next > counts.reach() || counts.at(next) == 0) continue;
    const double g = reach_tail(learned.p[h], learned.reaches)[static_cast<size_t>(next)];
    if (g > most) {
      most = g;
      best = static_cast<int64_t>(h);
    }
  }
  return best;
}

std::vector<HardReach> by_filling_all(const LearnedDegrees& learned, const HardenOptions& options) {
  std::vector<HardReach> hard = by_water_filling(learned, options);
  const DistanceCounts& counts = *options.counts;
  int64_t left = options.budget;
  for (const HardReach& reach : hard) left -= counts.edges(reach.largest());
  const int64_t head = next_head(learned, hard, counts);
  if (head < 0 || left <= 0) return hard;
  const int64_t reach = hard[static_cast<size_t>(head)].largest();
  const double share =
      std::min(1.0, static_cast<double>(left) / static_cast<double>(counts.at(reach + 1)));
  std::vector<int64_t> grid{reach, reach + 1};
  std::vector<double> p{1 - share, share};
  if (reach > 0) {  // a grid begins at 0
    grid.insert(grid.begin(), 0);
    p.insert(p.begin(), 0);
  }
  hard[static_cast<size_t>(head)] = HardReach(Reaches(std::move(grid)), std::move(p), 0);
  return hard;
}

std::vector<HardReach> by_position(const LearnedDegrees& learned, const HardenOptions& options) {
  std::vector<HardReach> hard;
  for (size_t place = 0; place < learned.p.size(); ++place) {
    const auto heads = static_cast<uint64_t>(learned.heads);
    RandomStream random(options.seed, Purpose::degree_shift, {place / heads, place % heads});
    hard.emplace_back(learned.reaches, learned.p[place], random.uniform());
  }
  return hard;
}

constexpr std::array kHardeners{
    Hardener{"argmax", "the most probable reach", by_argmax},
    Hardener{"median", "the largest distance that at least half of the tokens see", by_median},
    Hardener{"mean", "the mean reach, rounded", by_mean},
    Hardener{"water_filling", "what is seen most, in all heads together, within a budget of edges",
             by_water_filling},
    Hardener{"exact", "water_filling, the rest of the budget for a share of one head's tokens",
             by_filling_all},
    Hardener{"irregular", "every token its own reach, distributed as learned", by_position},
};

void expect_sound(const LearnedDegrees& learned) {
  if (learned.heads < 1) {
    throw ConfigError("degrees", fmt::format("{} heads a layer", learned.heads), "give at least 1");
  }
  for (const std::vector<double>& p : learned.p) {
    if (static_cast<int64_t>(p.size()) != learned.reaches.count()) {
      throw ShapeError("degrees",
                       fmt::format("a distribution of {} values over {} reaches", p.size(),
                                   learned.reaches.count()),
                       "all heads share one grid of reaches");
    }
    expect_probabilities("degrees", p);
  }
}

}  // namespace

std::span<const Hardener> hardeners() { return kHardeners; }

namespace {

const Hardener& find_hardener(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Hardener& hardener : kHardeners) {
    if (hardener.name == name) return hardener;
    names.push_back(hardener.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw ConfigError("degrees", fmt::format("there is no hardener \"{}\"", name),
                    nearest.empty() ? fmt::format("{}", fmt::join(names, ", "))
                                    : fmt::format("the nearest name is \"{}\"", nearest));
}

}  // namespace

void expect_hardener(std::string_view name) { find_hardener(name); }

std::vector<HardReach> harden(std::string_view name, const LearnedDegrees& learned,
                              const HardenOptions& options) {
  expect_sound(learned);
  return find_hardener(name).harden(learned, options);
}

}  // namespace filigree
