#include "tasks/study/claims.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include "core/error.h"

namespace filigree {

namespace {

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Cuts the text at a separator; what is behind it, trimmed, or nothing.
std::string cut_off(std::string& text, const std::string& separator) {
  const size_t at = text.find(separator);
  if (at == std::string::npos) return "";
  std::string behind = trimmed(text.substr(at + separator.size()));
  text = trimmed(text.substr(0, at));
  return behind;
}

bool fits(const std::vector<Condition>& conditions, const StudyTable& table, const StudyRow& row) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) {
    for (size_t a = 0; a < table.axes.size(); ++a) {
      if (table.axes[a] == condition.axis) return condition.holds(row.levels[a]);
    }
    return false;
  });
}

/// Sum and number of values.
struct Mean {
  double sum = 0;
  int64_t count = 0;
  double value() const { return sum / static_cast<double>(count); }
};

/// One pair in the making: both sides, at the same levels of the other axes and the same seed.
struct Pair {
  Mean better, worse;
};

Finding test(const Claim& claim, const StudyTable& table) {
  std::vector<bool> named(table.axes.size());
  for (const auto* side : {&claim.better, &claim.worse}) {
    for (const Condition& condition : *side) {
      for (size_t a = 0; a < table.axes.size(); ++a) {
        if (table.axes[a] == condition.axis) named[a] = true;
      }
    }
  }
  std::map<std::pair<std::vector<std::string>, uint64_t>, Pair> pairs;
  for (const StudyRow& row : table.rows) {
    if (!fits(claim.where, table, row)) continue;
    const bool better = fits(claim.better, table, row), worse = fits(claim.worse, table, row);
    if (better == worse) continue;
    std::vector<std::string> others;
    for (size_t a = 0; a < named.size(); ++a) {
      if (!named[a]) others.push_back(row.levels[a]);
    }
    for (const RunRecord& run : row.runs) {
      Pair& pair = pairs[{others, run.seed}];
      Mean& side = better ? pair.better : pair.worse;
      side.sum += run.higher_is_better ? run.value : -run.value;
      ++side.count;
    }
  }
  std::vector<double> a, b;
  for (const auto& [key, pair] : pairs) {
    if (pair.better.count == 0 || pair.worse.count == 0) continue;
    a.push_back(pair.better.value() + claim.margin);
    b.push_back(pair.worse.value());
  }
  Finding finding;
  finding.claim = claim;
  finding.test.t_p = std::nan("");
  if (!a.empty()) finding.test = paired_test(a, b);
  return finding;
}

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::confirmed:
      return "confirmed";
    case Verdict::contradicted:
      return "contradicted";
    case Verdict::undecided:
      return "undecided";
    case Verdict::no_data:
      break;
  }
  return "no data";
}

Claim parse_claim(const std::string& name, const std::string& text) {
  const std::string where = "study.claims." + name;
  Claim claim;
  claim.name = name;
  std::string rest = trimmed(text);
  claim.text = cut_off(rest, ";");
  if (claim.text.empty()) claim.text = rest;
  const std::string condition = cut_off(rest, "@");
  std::string worse = cut_off(rest, ">");
  const std::string margin = cut_off(worse, " - ");
  if (rest.empty() || worse.empty()) {
    throw ConfigError(where, fmt::format("expected axis=level > axis=level, got \"{}\"", text),
                      "for example mask=near > mask=random @ layers=all; near is better");
  }
  claim.better = parse_conditions(where, rest);
  claim.worse = parse_conditions(where, worse);
  claim.where = parse_conditions(where, condition);
  if (!margin.empty()) {
    char* end = nullptr;
    claim.margin = std::strtod(margin.c_str(), &end);
    if (*end != 0 || !(claim.margin >= 0)) {
      throw ConfigError(where, fmt::format("expected a margin of at least 0, got \"{}\"", margin));
    }
  }
  return claim;
}

void expect_fits(const Claim& claim, const Study& study) {
  for (const auto* conditions : {&claim.better, &claim.worse, &claim.where}) {
    for (const Condition& condition : *conditions) {
      study.expect_levels("study.claims." + claim.name, condition);
    }
  }
}

std::vector<Finding> judge(std::span<const Claim> claims, const StudyTable& table) {
  std::vector<Finding> findings;
  std::vector<double> p;
  for (const Claim& claim : claims) {
    findings.push_back(test(claim, table));
    p.push_back(findings.back().test.t_p);
  }
  const std::vector<double> adjusted = holm(p);
  for (size_t k = 0; k < findings.size(); ++k) {
    Finding& finding = findings[k];
    finding.adjusted_p = adjusted[k];
    const Interval& difference = finding.test.difference;
    if (difference.n == 0) continue;
    finding.verdict = !(adjusted[k] < 0.05) || difference.mean == 0 ? Verdict::undecided
                      : difference.mean > 0                         ? Verdict::confirmed
                                                                    : Verdict::contradicted;
  }
  return findings;
}

std::string to_text(const std::vector<Finding>& findings) {
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.claim.name.size());
  std::string text;
  for (const Finding& finding : findings) {
    const PairedTest& test = finding.test;
    text += fmt::format("{:<{}}  {:<12}", finding.claim.name, width, name_of(finding.verdict));
    if (test.difference.n > 0) {
      text += fmt::format("  {:+.4f}, {} pairs", test.difference.mean, test.difference.n);
    }
    if (std::isfinite(finding.adjusted_p)) text += fmt::format(", p {:.4f}", finding.adjusted_p);
    text += "  " + finding.claim.text + "\n";
  }
  return text;
}

std::string to_csv(const std::vector<Finding>& findings) {
  std::string text = "name,verdict,difference,half_width,pairs,t_p,permutation_p,holm_p,claim\n";
  for (const Finding& finding : findings) {
    const PairedTest& test = finding.test;
    const bool tested = test.difference.n > 0;
    const double none = std::nan("");
    text += fmt::format("{},{},{},{},{},{},{},{},{}\n", csv_field(finding.claim.name),
                        name_of(finding.verdict), csv_number(tested ? test.difference.mean : none),
                        csv_number(test.difference.half_width), test.difference.n,
                        csv_number(test.t_p), csv_number(tested ? test.permutation_p : none),
                        csv_number(finding.adjusted_p), csv_field(finding.claim.text));
  }
  return text;
}

std::vector<Claim> claims_of(const StudyRecord& study) {
  std::vector<Claim> claims;
  for (const auto& [name, text] : study.claims) claims.push_back(parse_claim(name, text));
  return claims;
}

}  // namespace filigree
