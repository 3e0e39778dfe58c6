// Hardened heads: the attention that learned gates become, as patterns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/degrees/learned_heads.h"

namespace filigree {

/// (L H), layer by layer: by one of hardeners(), or, where gates rise with the distance, chosen
/// distances ("offsets:..") within the budget (offset_filling()). Throws as these; ConfigError for
/// such gates and a hardener that has no budget.
std::vector<HardHead> harden_heads(std::string_view hardener, const LearnedHeads& heads,
                                   const HardenOptions& options);

/// The plan (AttentionPlan) of the heads: the pattern of each, with "|GLOBALS" behind it unless
/// these are "none", and the layers and heads that have it. Heads of equal pattern share a rule, as
/// do layers whose heads are alike.
std::string hard_pattern(const std::vector<HardHead>& hard, int64_t heads,
                         const std::string& globals);

}  // namespace filigree
