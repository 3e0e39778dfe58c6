// The text of the attention that hardened degrees are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attention/degrees/hard_reach.h"

namespace filigree {

/// The plan (AttentionPlan) of reaches (L H), layer by layer: "neighbour:r", or of irregular
/// ones "irregular:..", with "|GLOBALS" behind it unless these are "none", and the layers and heads
/// that have it. Heads of equal reach share a rule, as do layers whose heads are alike.
std::string hard_pattern(const std::vector<HardReach>& reaches, int64_t heads,
                         const std::string& globals);

}  // namespace filigree
