// What was run where, and for how long.
#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

#include "tasks/report/html.h"
#include "tasks/report/sections.h"

namespace filigree {

namespace {

constexpr size_t kRows = 2000;

std::string body(const ReportData& data) {
  if (data.runs.empty()) return "";
  HtmlTable table{"runs", {"run", "made by"}, {}, true};
  table.head.insert(table.head.end(), data.table.axes.begin(), data.table.axes.end());
  table.head.insert(table.head.end(),
                    {"seed", "metric", "value", "density, %", "steps", "best step", "seconds",
                     "tokens/s", "MiB", "machine", "version", "finished"});
  std::unordered_map<std::string, const RunRecord*> by_id;
  for (const RunRecord& run : data.runs) by_id[run.id] = &run;
  size_t left_out = 0;
  for (const PlannedRecord& planned : data.study.runs) {
    const auto found = by_id.find(planned.id);
    if (found == by_id.end()) continue;
    if (table.rows.size() == kRows) {
      ++left_out;
      continue;
    }
    const RunRecord& run = *found->second;
    std::vector<HtmlCell> cells{text_cell(run.id), text_cell(run.command)};
    cells[0].title = fmt::format("{} in {} layers, {} heads", run.pattern, run.layers, run.heads);
    for (const std::string& level : planned.levels) cells.push_back(text_cell(level));
    const auto number = [](int64_t value) {
      return number_cell(static_cast<double>(value), "{:.0f}");
    };
    cells.push_back(number(static_cast<int64_t>(planned.seed)));
    cells.push_back(text_cell(run.metric));
    cells.push_back(number_cell(run.value, "{:.4f}"));
    cells.push_back(number_cell(100 * run.density, "{:.2f}"));
    cells.push_back(number(run.steps));
    cells.push_back(number(run.best_step));
    cells.push_back(number_cell(run.seconds, "{:.1f}"));
    cells.push_back(number_cell(run.tokens_per_second, "{:.0f}"));
    cells.push_back(number(run.memory_peak >> 20));
    for (const std::string* text : {&run.machine, &run.version, &run.finished}) {
      cells.push_back(text_cell(*text));
    }
    table.rows.push_back(std::move(cells));
  }
  const std::string note =
      left_out == 0 ? ""
                    : paragraph(fmt::format("The first {} runs; {} more: `filigree runs FOLDER "
                                            "--csv` has all.",
                                            kRows, left_out),
                                "note");
  return paragraph("Settings, evaluations and losses of one: filigree runs FOLDER --run ID.") +
         note + table.html();
}

}  // namespace

const ReportSection kRunsSection{"runs", "Runs", body};

}  // namespace filigree
