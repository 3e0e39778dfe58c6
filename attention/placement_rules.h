// The text form of an attention plan: rules that say which pattern holds where. Private to
// attention.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/open_pattern.h"
#include "attention/pattern.h"

namespace filigree {

/// A pattern whose open number gives it a density.
struct DensityMatch {
  OpenPattern open;
  double density = 0;
  std::string digits;  ///< the density as written
};

/// A pattern, and the layers and heads that have it.
struct PlacementRule {
  Pattern pattern;                    ///< of a match that is not solved: any number in its place
  std::optional<DensityMatch> match;  ///< until it is solved
  std::string placement;              ///< "layers=0-1 heads=0,2" as written; may be empty
  std::vector<bool> layers, heads;    ///< chosen ones

  bool at(int layer, int head) const {
    return layers[static_cast<size_t>(layer)] && heads[static_cast<size_t>(head)];
  }
  /// True if it has a layer and a head.
  bool anywhere() const;
  /// "neighbour:3" or "neighbour:? match:density=0.2", without placement.
  std::string text() const;
};

/// Reads rules:
///     plan = rule { ";" rule }
///     rule = pattern [ "match:density=" x ] [ "@" [ "layers=" L ] [ "heads=" H ] ]
/// A rule that does not say its layers or heads has the given ones. Throws ConfigError that shows
/// the text and points at the character; also if two rules claim the same layer and head.
std::vector<PlacementRule> parse_rules(std::string_view text, std::string_view layers,
                                       std::string_view heads, int layer_count, int head_count);
/// The text of the rules, which parse_rules() reads back.
std::string rules_text(const std::vector<PlacementRule>& rules);

}  // namespace filigree
