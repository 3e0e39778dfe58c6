// What the study was made to decide, and what its runs say.
#include <fmt/format.h>

#include "tasks/report/html.h"
#include "tasks/report/sections.h"
#include "tasks/study/claims.h"

namespace filigree {

namespace {

std::string body(const ReportData& data) {
  const std::vector<Claim> claims = claims_of(data.study);
  if (claims.empty()) return "";
  HtmlTable table{
      "claims",
      {"", "claim", "verdict", "difference", "±", "pairs", "p (t)", "p (signs)", "p (Holm)"},
      {},
      false};
  for (const Finding& finding : judge(claims, data.table)) {
    const PairedTest& test = finding.test;
    const bool tested = test.difference.n > 0;
    HtmlCell verdict = text_cell(name_of(finding.verdict));
    if (finding.verdict == Verdict::confirmed)
      verdict.html = "<span class=\"yes\">confirmed</span>";
    if (finding.verdict == Verdict::contradicted) {
      verdict.html = "<span class=\"no\">contradicted</span>";
    }
    const double none = std::nan("");
    HtmlCell text = text_cell(finding.claim.text);
    text.style = "white-space:normal;min-width:16rem";
    table.rows.push_back(
        {text_cell(finding.claim.name), text, verdict,
         number_cell(tested ? test.difference.mean : none, "{:+.4f}"),
         number_cell(test.difference.n > 1 ? test.difference.half_width : none, "{:.4f}"),
         number_cell(static_cast<double>(test.difference.n), "{:.0f}"),
         number_cell(test.t_p, "{:.4f}"), number_cell(tested ? test.permutation_p : none, "{:.4f}"),
         number_cell(finding.adjusted_p, "{:.4f}")});
  }
  return paragraph(
             "Confirmed or contradicted: the mean difference between the two sides of a claim has "
             "that sign, and p of the paired t-test is below 0.05 after Holm's correction over all "
             "claims; a difference above 0 speaks for the claim, with the margin that it grants "
             "added. Pairs have the same seed and the same levels of the axes that a claim does "
             "not "
             "name; where such axes have several levels the pairs of one seed are not independent, "
             "and p is too small.") +
         table.html();
}

}  // namespace

const ReportSection kClaimsSection{"verdict", "Verdict", body};

}  // namespace filigree
