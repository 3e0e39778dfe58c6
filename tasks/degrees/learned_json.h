// What was learned of degrees, for other programs.
#pragma once

#include <string>
#include <vector>

#include "tasks/degrees/learned_heads.h"

namespace filigree {

/// {"learner", "reach", "density", "pattern", "heads": [{"layer", "head", "gate": g (R+1), "node":
/// p (R+1), "edge": lambda (R+1), "mean_reach", "density", "hard": {"pattern", "reach"}}]};
/// node and edge are null where a gate rises with the distance. hard: (L H), or none.
std::string to_json(const LearnedHeads& heads, const std::vector<HardHead>& hard,
                    const std::string& pattern);

}  // namespace filigree
