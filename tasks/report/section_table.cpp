// The main table: a row a combination of levels, against the baseline.
#include <algorithm>
#include <fmt/format.h>

#include "tasks/report/html.h"
#include "tasks/report/sections.h"

namespace filigree {

namespace {

constexpr size_t kRows = 2000;

std::vector<HtmlCell> cells_of(const StudyRow& row) {
  std::vector<HtmlCell> cells;
  for (const std::string& level : row.levels) cells.push_back(text_cell(level));
  const bool done = !row.runs.empty(), tested = row.difference.has_value();
  const PairedTest test = row.difference.value_or(PairedTest{});
  const double none = std::nan("");
  std::string values;
  for (const RunRecord& run : row.runs) {
    values += fmt::format("seed {}: {:.4f}\n", run.seed, run.value);
  }
  cells.push_back(text_cell(done ? row.runs.front().metric : ""));
  cells.push_back(number_cell(done ? 100 * row.density : none, "{:.2f}"));
  cells.push_back(number_cell(done ? row.value.mean : none, "{:.4f}"));
  cells.back().title = values;
  cells.push_back(number_cell(row.value.n > 1 ? row.value.half_width : none, "{:.4f}"));
  cells.push_back({fmt::format("{}/{}", row.runs.size(), row.planned),
                   static_cast<double>(row.runs.size()), true});
  cells.push_back(number_cell(tested ? test.difference.mean : none, "{:+.4f}"));
  cells.push_back(
      number_cell(tested && test.difference.n > 1 ? test.difference.half_width : none, "{:.4f}"));
  cells.push_back(number_cell(tested ? test.t_p : none, "{:.4f}"));
  cells.push_back(number_cell(tested ? test.permutation_p : none, "{:.4f}"));
  cells.push_back(number_cell(row.adjusted_p, "{:.4f}"));
  cells.push_back(number_cell(tested ? test.hedges_g : none, "{:.2f}"));
  cells.push_back(number_cell(done ? row.tokens_per_second : none, "{:.0f}"));
  const double mebibytes = static_cast<double>(row.memory_peak) / (1 << 20);
  cells.push_back(number_cell(row.memory_peak > 0 ? mebibytes : none, "{:.0f}"));
  return cells;
}

std::string body(const ReportData& data) {
  if (data.runs.empty()) return "";
  HtmlTable table{"study", data.table.axes, {}, true};
  table.head.insert(table.head.end(),
                    {"metric", "density, %", "mean", "±", "runs", "difference", "± ", "p (t)",
                     "p (signs)", "p (Holm)", "g", "tokens/s", "MiB"});
  for (const StudyRow& row : data.table.rows) {
    if (table.rows.size() < kRows) table.rows.push_back(cells_of(row));
  }
  std::string text = paragraph(
      "Mean over the seeds with its 95 % interval (Student t); density of the attention on the dev "
      "split; tokens/s: median of training; MiB: most that tensors held.");
  if (!data.table.baseline.empty()) {
    text += paragraph(fmt::format(
        "Differences are from {}, with the other levels equal and paired by seed: p of the paired "
        "t-test and of the test by exchanging signs, p of the t-test corrected after Holm over all "
        "rows with a difference, and g, the effect size after Hedges. With n seeds the test by "
        "signs cannot give less than 2 / 2^n.",
        data.table.baseline));
  }
  if (data.table.rows.size() > kRows) {
    text += paragraph(fmt::format("The first {} of {} rows; table.csv in the study's folder has "
                                  "all.",
                                  kRows, data.table.rows.size()),
                      "note");
  }
  return text + table.html();
}

}  // namespace

const ReportSection kTableSection{"table", "Results", body};

}  // namespace filigree
