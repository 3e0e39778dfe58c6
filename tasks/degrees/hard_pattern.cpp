#include "tasks/degrees/hard_pattern.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>

namespace filigree {

std::string hard_pattern(const std::vector<HardReach>& reaches, int64_t heads,
                         const std::string& globals) {
  using Numbers = std::vector<int64_t>;
  std::map<std::pair<std::string, Numbers>, Numbers> rules;  // (pattern, its heads) to layers
  const auto layers = static_cast<int64_t>(reaches.size()) / heads;
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::map<std::string, Numbers> groups;  // of a layer's heads
    for (int64_t head = 0; head < heads; ++head) {
      const HardReach& reach = reaches[static_cast<size_t>(layer * heads + head)];
      groups[reach.pattern()].push_back(head);
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
