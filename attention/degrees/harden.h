// Hardening: from learned distributions of reaches to reaches.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "attention/degrees/density.h"
#include "attention/degrees/hard_reach.h"
#include "attention/degrees/reaches.h"

namespace filigree {

/// The distributions of all heads of all layers.
struct LearnedDegrees {
  Reaches reaches;
  int64_t heads = 1;                   ///< of a layer
  std::vector<std::vector<double>> p;  ///< (L H, K), layer by layer
};

/// What a hardener may look at beside the distributions.
struct HardenOptions {
  const DistanceCounts* counts = nullptr;  ///< of the split; water_filling needs it
  int64_t budget = 0;                      ///< edges of all heads on it, as of edge_budget()
  uint64_t seed = 0;                       ///< irregular: where the heads start
};

/// One way to harden. To add one, write its function and its line in the table of harden.cpp.
struct Hardener {
  std::string_view name, summary;
  std::vector<HardReach> (*harden)(const LearnedDegrees& learned, const HardenOptions& options);
};

/// In order: argmax, median, mean, water_filling, exact, irregular.
///     argmax         the reach of largest p; of several the smallest
///     median         the largest d with g(d) >= 1/2
///     mean           E[reach] rounded, halves upwards
///     water_filling  the largest reaches within a budget of edges, by g (water_filling.h); the
///                    only one that meets a density
///     exact          water_filling, and what it leaves of the budget for a share of the tokens of
///                    one head, spread evenly by position: that with the largest next g. Meets a
///                    density to about an edge a head and sequence
///     irregular      every token its own, frozen by position, distributed as p (hard_reach.h);
///                    a head's shift is keyed (seed, layer, head)
std::span<const Hardener> hardeners();

/// Throws ConfigError, with the nearest name, unless there is a hardener of that name.
void expect_hardener(std::string_view name);

/// One HardReach a head, layer by layer. Throws ConfigError for an unknown name (with the nearest),
/// for fewer than one head a layer and for what the hardener lacks; ShapeError, NumericError for
/// the distributions. Deterministic. Cost O(L H (K + R)), water_filling and exact O(L H R log(L
/// H)).
std::vector<HardReach> harden(std::string_view name, const LearnedDegrees& learned,
                              const HardenOptions& options = {});

}  // namespace filigree
