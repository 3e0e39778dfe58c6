// Heat maps: the mean metric for two axes at a time.
#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "tasks/report/axes.h"
#include "tasks/report/html.h"
#include "tasks/report/sections.h"

namespace filigree {

namespace {

constexpr size_t kMostMaps = 6, kMostLevels = 30;

struct Cell {
  double sum = 0;
  int64_t count = 0;
  double mean() const { return sum / static_cast<double>(count); }
};

using Cells = std::map<std::pair<std::string, std::string>, Cell>;

/// Light where `share` is 0, dark where it is 1; the text's colour stays readable on both.
std::string shade(double share) {
  const double strength = 0.08 + 0.72 * share;
  return fmt::format("background:rgba(0,114,178,{:.3f});color:{}", strength,
                     strength > 0.5 ? "#fff" : "inherit");
}

std::string map_of(const StudyTable& table, const Facet& facet, size_t down, size_t across) {
  Cells cells;
  for (const StudyRow* row : facet.rows) {
    Cell& cell = cells[{row->levels[down], row->levels[across]}];
    cell.sum += row->value.mean;
    ++cell.count;
  }
  double least = INFINITY, most = -INFINITY;
  for (const auto& [place, cell] : cells) {
    least = std::min(least, cell.mean());
    most = std::max(most, cell.mean());
  }
  HtmlTable html{table.axes[down] + "-" + table.axes[across],
                 {table.axes[down] + " \\ " + table.axes[across]},
                 {},
                 false};
  const std::vector<std::string> columns = levels_of(facet.rows, across);
  html.head.insert(html.head.end(), columns.begin(), columns.end());
  for (const std::string& level : levels_of(facet.rows, down)) {
    html.rows.push_back({text_cell(level)});
    for (const std::string& column : columns) {
      const auto found = cells.find({level, column});
      if (found == cells.end()) {
        html.rows.back().push_back(text_cell(""));
        continue;
      }
      HtmlCell cell = number_cell(found->second.mean(), "{:.4f}");
      cell.style = shade(most > least ? (found->second.mean() - least) / (most - least) : 0);
      cell.title = fmt::format("{} = {}, {} = {}: mean of {} combinations", table.axes[down], level,
                               table.axes[across], column, found->second.count);
      html.rows.back().push_back(std::move(cell));
    }
  }
  return "<div class=\"heat\">" + html.html() + "</div>";
}

std::string body(const ReportData& data) {
  std::string text;
  size_t maps = 0;
  for (const Facet& facet : facets_of(data.table, false)) {
    for (size_t down = 0; down < data.table.axes.size(); ++down) {
      for (size_t across = down + 1; across < data.table.axes.size(); ++across) {
        const size_t rows = levels_of(facet.rows, down).size();
        const size_t columns = levels_of(facet.rows, across).size();
        if (rows < 2 || columns < 2 || rows > kMostLevels || columns > kMostLevels) continue;
        if (++maps > kMostMaps) continue;
        text += fmt::format("<h3>{} by {}: {}</h3>\n", escape(data.table.axes[down]),
                            escape(data.table.axes[across]),
                            escape(facet.rows.front()->runs.front().metric));
        text += map_of(data.table, facet, down, across);
      }
    }
  }
  if (text.empty()) return "";
  return paragraph(
             "Mean of the metric over the seeds and all other axes; the darker, the larger.") +
         (maps > kMostMaps
              ? paragraph(fmt::format("The first {} of {} pairs of axes.", kMostMaps, maps), "note")
              : "") +
         text;
}

}  // namespace

const ReportSection kHeatSection{"maps", "Two axes at a time", body};

}  // namespace filigree
