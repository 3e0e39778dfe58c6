// match:density=x: the open number of a pattern from the density that it is to have on a split.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "attention/placement.h"

namespace filigree {

/// The sequences of a split, a packed batch at a time.
struct MatchData {
  int64_t batches = 0;
  /// Calls use(batch k). Called from several threads at once, and several times for a batch.
  std::function<void(int64_t k, const std::function<void(const SequenceBatch&)>& use)> visit;
};

struct MatchedRule {
  std::string asked;    ///< "neighbour:? match:density=0.2"
  std::string pattern;  ///< "(neighbour:3|(neighbour:4-neighbour:3)*0.412)"
  double target = 0, density = 0;
};

struct MatchResult {
  std::string pattern;  ///< of the whole plan, without any match
  std::vector<MatchedRule> rules;
};

/// Solves every rule of a plan that has a match:density. The number is the largest whose density
///     edges / valid pairs, self-edges included, summed over the split
/// does not exceed the target; of the edges that the next number adds, the share that comes first
/// in an order keyed by (seed, sequence, query, key) is added, so that the target is met to 0.01
/// points, or to one edge where the split is smaller. Where layers and heads have edges of their
/// own the density is the mean of up to four of them; the others may differ by chance (random &
/// causal), and so may the later steps of per=step: step 0 counts. Rules without a layer or head
/// stay as they are.
///
/// Throws ConfigError if the densities of all numbers lie on one side of the target, by more than
/// 0.1 points; DataError for an empty split and if it lacks what a pattern needs. The plan must
/// have its vectors. Deterministic, for any number of threads. Cost: about five times building the
/// rule's graphs for all of the split, at O(n) memory a thread.
MatchResult solve_match(const AttentionPlan& plan, const MatchData& data, uint64_t seed);

/// Exact density of a pattern on a split, for one layer and head. Cost: its graphs once.
double density_on(const Pattern& pattern, const MatchData& data, const GraphKey& key,
                  const TokenVectors* vectors = nullptr);

}  // namespace filigree
