#include "tasks/degrees/hard_heads.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>

#include "attention/degrees/offset_filling.h"
#include "core/error.h"

namespace filigree {

namespace {

std::vector<HardHead> windows(std::string_view hardener, const LearnedHeads& heads,
                              const HardenOptions& options) {
  std::vector<HardHead> hard;
  for (const HardReach& reach : harden(hardener, heads.distributions(), options)) {
    hard.push_back({reach.pattern(), reach.largest()});
  }
  return hard;
}

std::vector<HardHead> offsets(const LearnedHeads& heads, const HardenOptions& options) {
  std::vector<std::vector<double>> gates;
  for (const LearnedHead& head : heads.all) gates.push_back(head.gate);
  std::vector<HardHead> hard;
  for (const auto& distances : offset_filling(gates, *options.counts, options.budget)) {
    if (distances.empty()) {
      hard.push_back({"neighbour:0", 0});
    } else {
      hard.push_back({fmt::format("offsets:{}", fmt::join(distances, ",")), distances.back()});
    }
  }
  return hard;
}

}  // namespace

std::vector<HardHead> harden_heads(std::string_view hardener, const LearnedHeads& heads,
                                   const HardenOptions& options) {
  expect_hardener(hardener);
  if (heads.windows()) return windows(hardener, heads, options);
  if (hardener != "exact" && hardener != "water_filling") {
    throw ConfigError("degrees.harden",
                      fmt::format("gates of {} rise with the distance, {} needs some that fall",
                                  heads.learner, hardener),
                      "go on with --resume --degrees.harden exact");
  }
  return offsets(heads, options);
}

std::string hard_pattern(const std::vector<HardHead>& hard, int64_t heads,
                         const std::string& globals) {
  using Numbers = std::vector<int64_t>;
  std::map<std::pair<std::string, Numbers>, Numbers> rules;  // (pattern, its heads) to layers
  const auto layers = static_cast<int64_t>(hard.size()) / heads;
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::map<std::string, Numbers> groups;  // of a layer's heads
    for (int64_t head = 0; head < heads; ++head) {
      groups[hard[static_cast<size_t>(layer * heads + head)].pattern].push_back(head);
    }
    for (const auto& group : groups) rules[group].push_back(layer);
  }
  const std::string behind = globals == "none" ? "" : "|" + globals;
  std::string text;
  for (const auto& [rule, in_layers] : rules) {
    text += fmt::format("{}{}{} @ layers={} heads={}", text.empty() ? "" : "; ", rule.first, behind,
                        fmt::join(in_layers, ","), fmt::join(rule.second, ","));
  }
  return text;
}

}  // namespace filigree
