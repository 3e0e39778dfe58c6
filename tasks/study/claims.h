// Claims of a study: what it was made to decide, and what its runs say.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tasks/study/study_file.h"
#include "tasks/study/study_table.h"

namespace filigree {

/// "mask=near layers=all > mask=syntax|lexical - 0.01 @ density!=0.5; near damages least".
struct Claim {
  std::string name, text;
  std::vector<Condition> better, worse;  ///< the rows that are said to be better than the others
  double margin = 0;                     ///< by less than so much they may be worse
  std::vector<Condition> where;          ///< for both
};

enum class Verdict { confirmed, contradicted, undecided, no_data };
const char* name_of(Verdict verdict);

struct Finding {
  Claim claim;
  Verdict verdict = Verdict::no_data;
  PairedTest test;        ///< of better + margin - worse, turned round where smaller is better
  double adjusted_p = 0;  ///< t_p after Holm, over all claims of the study
};

/// Reads a claim. Throws ConfigError at study.claims.NAME.
Claim parse_claim(const std::string& name, const std::string& text);
/// Throws ConfigError for axes and levels that a study does not have.
void expect_fits(const Claim& claim, const Study& study);

/// Tests every claim: the rows on its two sides are paired by seed and by the levels of all axes
/// that the claim does not name; of several rows on one side the mean counts. Confirmed or
/// contradicted: the mean difference has that sign and the adjusted p is below 0.05. Pairs that
/// share a seed are not independent of each other where other axes differ, so that p is smaller
/// than it should be there: read it with the number of seeds.
std::vector<Finding> judge(std::span<const Claim> claims, const StudyTable& table);

/// A line a claim: verdict, difference, pairs, p. Empty without claims.
std::string to_text(const std::vector<Finding>& findings);
/// name,verdict,difference,half_width,pairs,t_p,permutation_p,holm_p,claim
std::string to_csv(const std::vector<Finding>& findings);

/// The claims of a store's plan.
std::vector<Claim> claims_of(const StudyRecord& study);

}  // namespace filigree
