// What a model has learned of how far its heads look, soft and hard.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attention/degrees/harden.h"
#include "nn/degrees/degree_learner.h"

namespace filigree {

/// Two distributions of one head: of the reaches of its tokens, and of those that its edges are
/// part of (docs/degrees.md, "Node and edge perspective").
struct LearnedHead {
  int layer = 0, head = 0;
  std::vector<double> gate;        ///< g (R+1)
  std::vector<double> node, edge;  ///< p and lambda (R+1); empty if the gate rises somewhere
  double mean_reach = 0;           ///< sum over d >= 1 of g(d), in tokens on a side
  double density = 0;              ///< expected
};

/// All heads, layer by layer.
struct LearnedHeads {
  std::string learner;
  int64_t reach = 0, heads = 0;  ///< R, and H of a layer
  std::vector<LearnedHead> all;  ///< (L H)
  double density = 0;            ///< mean

  /// False if some gate rises with the distance: then no window hardens it.
  bool windows() const;
  /// The distributions of the nodes as hardeners take them. Throws ConfigError unless windows().
  LearnedDegrees distributions() const;
};

/// What a head's gate was hardened to.
struct HardHead {
  std::string pattern;  ///< "neighbour:r", "irregular:..", "offsets:.."
  int64_t reach = 0;    ///< no token looks further

  /// It sees itself and global tokens alone.
  bool closed() const { return reach == 0; }
};

/// counts: of the split that densities are of.
LearnedHeads learned_heads(const DegreeLearner& learner, const DistanceCounts& counts);

/// A line a head: mean reach, density, and the share of its tokens that look as far as 0, 1, 2,
/// 3-4, 5-8 .. tokens (of gates that rise: what passes there); with `hard` (L H) the hardened
/// reach, too. Heads that are closed() are named below.
std::string to_text(const LearnedHeads& heads, const std::vector<HardHead>& hard = {});

}  // namespace filigree
