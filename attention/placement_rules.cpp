#include "attention/placement_rules.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <utility>

#include "attention/pattern_parser.h"
#include "attention/selection.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr std::string_view kForm = "a rule is PATTERN [match:density=x] [@ layers=L heads=H]";

/// Reads one rule, [first, last) of a text.
class RuleReader {
 public:
  RuleReader(std::string_view text, size_t first, size_t last)
      : text_(text), first_(first), last_(last) {}

  PlacementRule read(const std::vector<bool>& layers, const std::vector<bool>& heads) {
    const std::string_view rule = text_.substr(0, last_);
    const size_t at = std::min(rule.find('@', first_), last_);
    const size_t match = std::min(rule.substr(0, at).find(kMatch, first_), at);
    const std::string_view before = rule.substr(0, match).substr(first_);
    if (match < at && std::ranges::count(before, '(') > std::ranges::count(before, ')')) {
      throw_at(text_, match, "match stands behind the whole pattern, not in its parentheses",
               kForm);
    }
    PlacementRule read = match < at
                             ? matched(match, at)
                             : PlacementRule{parse_pattern(text_, first_, at), {}, {}, {}, {}};
    read.layers = layers;
    read.heads = heads;
    if (at < last_) place(at + 1, read);
    return read;
  }

 private:
  static constexpr std::string_view kMatch = "match:", kDensity = "density=";

  size_t skip_blanks(size_t at) const {
    while (at < last_ && (text_[at] == ' ' || text_[at] == '\t')) ++at;
    return at;
  }

  PlacementRule matched(size_t match, size_t end) const {
    OpenPattern open(text_, first_, match);
    size_t at = skip_blanks(match + kMatch.size());
    if (!text_.substr(0, end).substr(at).starts_with(kDensity)) {
      throw_at(text_, at, "expected density=x", kForm);
    }
    at = skip_blanks(at + kDensity.size());
    while (end > at && text_[end - 1] == ' ') --end;
    const std::string_view digits = text_.substr(at, end - at);
    double density = 0;
    const auto [stop, code] =
        std::from_chars(digits.data(), digits.data() + digits.size(), density);
    if (code != std::errc() || stop != digits.data() + digits.size() || !(density > 0) ||
        density > 1) {
      throw_at(text_, at,
               fmt::format("a density is a number above 0 and at most 1, got \"{}\"", digits),
               "the share of edges among all pairs: 0.22 is 22 % dense, 78 % sparse");
    }
    Pattern any = parse_pattern(open.with(std::max<int64_t>(open.least(), 1)));
    return {
        std::move(any), DensityMatch{std::move(open), density, std::string(digits)}, {}, {}, {}};
  }

  void place(size_t at, PlacementRule& rule) const {
    at = skip_blanks(at);
    if (at == last_) throw_at(text_, at, "expected layers=L or heads=H", kForm);
    bool layers = false, heads = false;
    while (at < last_) {
      const size_t end = std::min(text_.find(' ', at), last_);
      const std::string_view word = text_.substr(at, end - at);
      const bool of_layers = word.starts_with("layers=");
      if (!of_layers && !word.starts_with("heads=")) {
        throw_at(text_, at, fmt::format("expected layers=L or heads=H, got \"{}\"", word), kForm);
      }
      if (std::exchange(of_layers ? layers : heads, true)) {
        throw_at(text_, at, "named for the second time in this rule", kForm);
      }
      const size_t value = at + word.find('=') + 1;
      std::vector<bool>& chosen = of_layers ? rule.layers : rule.heads;
      chosen = selection(text_.substr(value, end - value), static_cast<int>(chosen.size()),
                         [&](const std::string& why) { throw_at(text_, value, why, kForm); });
      rule.placement += (rule.placement.empty() ? "" : " ") + std::string(word);
      at = skip_blanks(end);
    }
  }

  std::string_view text_;
  size_t first_, last_;
};

/// Throws if two rules claim the same layer and head.
void expect_disjoint(const std::vector<PlacementRule>& rules) {
  for (size_t r = 0; r < rules.size(); ++r) {
    for (size_t s = 0; s < r; ++s) {
      for (size_t layer = 0; layer < rules[r].layers.size(); ++layer) {
        for (size_t head = 0; head < rules[r].heads.size(); ++head) {
          const int l = static_cast<int>(layer), h = static_cast<int>(head);
          if (!rules[r].at(l, h) || !rules[s].at(l, h)) continue;
          throw ConfigError("attention plan",
                            fmt::format("layer {}, head {} has two patterns: {} and {}", l, h,
                                        rules[s].text(), rules[r].text()),
                            "let no two rules choose the same layer and head");
        }
      }
    }
  }
}

std::vector<bool> option(std::string_view name, std::string_view text, int count) {
  return selection(text, count, [&](const std::string& why) { throw ConfigError(name, why); });
}

}  // namespace

bool PlacementRule::anywhere() const {
  const auto any = [](const std::vector<bool>& chosen) {
    return std::find(chosen.begin(), chosen.end(), true) != chosen.end();
  };
  return any(layers) && any(heads);
}

std::string PlacementRule::text() const {
  if (!match) return pattern.text();
  return fmt::format("{} match:density={}", match->open.text(), match->digits);
}

std::vector<PlacementRule> parse_rules(std::string_view text, std::string_view layers,
                                       std::string_view heads, int layer_count, int head_count) {
  const std::vector<bool> in_layers = option("attention.layers", layers, layer_count);
  const std::vector<bool> in_heads = option("attention.heads", heads, head_count);
  std::vector<PlacementRule> rules;
  for (size_t first = 0; first <= text.size();) {
    const size_t last = std::min(text.find(';', first), text.size());
    rules.push_back(RuleReader(text, first, last).read(in_layers, in_heads));
    first = last + 1;
  }
  expect_disjoint(rules);
  return rules;
}

std::string rules_text(const std::vector<PlacementRule>& rules) {
  std::string text;
  for (const PlacementRule& rule : rules) {
    if (!text.empty()) text += "; ";
    text += rule.text();
    if (!rule.placement.empty()) text += " @ " + rule.placement;
  }
  return text;
}

}  // namespace filigree
