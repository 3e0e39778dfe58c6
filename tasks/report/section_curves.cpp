// Accuracy against sparsity, a line a level of the series axis.
#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "tasks/report/axes.h"
#include "tasks/report/gnuplot.h"
#include "tasks/report/html.h"
#include "tasks/report/sections.h"

namespace filigree {

namespace {

constexpr size_t kMostSeries = 20;

/// A point of a metric: 0.01 where it lies between 0 and 1, 1 where it is larger (F1 in percent).
double a_point(const Facet& facet) {
  const bool small = std::all_of(facet.rows.begin(), facet.rows.end(), [](const StudyRow* row) {
    return std::abs(row->value.mean) <= 1;
  });
  return small ? 0.01 : 1;
}

PlotPoint point_of(const StudyTable& table, const StudyRow& row, size_t series) {
  const double spread = row.value.n > 1 ? row.value.half_width : 0;
  return {100 * (1 - row.density), row.value.mean, row.value.mean - spread, row.value.mean + spread,
          fmt::format("{}: {:.4f} ± {:.4f}, density {:.2f} %{}{}", row.levels[series],
                      row.value.mean, spread, 100 * row.density, table.axes.size() > 1 ? "; " : "",
                      name_of(table, row, series))};
}

/// Points as the statistics take them: higher is better.
std::vector<CurvePoint> curve_of(const std::vector<const StudyRow*>& rows, bool higher) {
  std::vector<CurvePoint> points;
  for (const StudyRow* row : rows) {
    points.push_back({1 - row->density, higher ? row->value.mean : -row->value.mean});
  }
  return points;
}

/// The value that others are compared with: the densest row's best mean.
double reference_of(const Facet& facet, bool higher) {
  const StudyRow* densest = facet.rows.front();
  for (const StudyRow* row : facet.rows) {
    if (row->density > densest->density) densest = row;
  }
  return higher ? densest->value.mean : -densest->value.mean;
}

HtmlTable summary(const Facet& facet, size_t series, bool higher) {
  HtmlTable table{"curves",
                  {"", "points", "from, %", "to, %", "mean over the range", "on the front",
                   "sparsest within a point, %"},
                  {},
                  false};
  const std::vector<CurvePoint> all = curve_of(facet.rows, higher);
  std::set<const StudyRow*> front;
  for (const size_t k : pareto_front(all)) front.insert(facet.rows[k]);
  for (const std::string& level : levels_of(facet.rows, series)) {
    std::vector<const StudyRow*> rows;
    for (const StudyRow* row : facet.rows) {
      if (row->levels[series] == level) rows.push_back(row);
    }
    const std::vector<CurvePoint> points = curve_of(rows, higher);
    const auto [least, most] =
        std::minmax_element(points.begin(), points.end(),
                            [](const auto& a, const auto& b) { return a.sparsity < b.sparsity; });
    const double area = area_under_curve(points);
    const auto within = sparsest_within(points, reference_of(facet, higher), a_point(facet));
    const auto on_front = std::count_if(rows.begin(), rows.end(),
                                        [&](const StudyRow* row) { return front.contains(row); });
    table.rows.push_back({text_cell(level), number_cell(static_cast<double>(rows.size()), "{:.0f}"),
                          number_cell(100 * least->sparsity, "{:.2f}"),
                          number_cell(100 * most->sparsity, "{:.2f}"),
                          number_cell(higher ? area : -area, "{:.4f}"),
                          number_cell(static_cast<double>(on_front), "{:.0f}"),
                          number_cell(within ? 100 * *within : std::nan(""), "{:.2f}")});
  }
  return table;
}

std::string body(const ReportData& data) {
  const size_t series = series_axis(data.table);
  if (series == kNoAxis) return "";
  std::string text;
  size_t number = 0;
  for (const Facet& facet : facets_of(data.table)) {
    const std::vector<std::string> levels = levels_of(facet.rows, series);
    const bool higher = higher_is_better(facet);
    if (levels.size() < 2) continue;
    if (!facet.name.empty()) text += "<h3>" + escape(facet.name) + "</h3>\n";
    LinePlot plot{"sparsity, %", facet.rows.front()->runs.front().metric, {}};
    for (const std::string& level : levels) {
      if (plot.series.size() == kMostSeries) break;
      PlotSeries line{level, {}};
      for (const StudyRow* row : facet.rows) {
        if (row->levels[series] == level) line.points.push_back(point_of(data.table, *row, series));
      }
      std::stable_sort(line.points.begin(), line.points.end(),
                       [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
      plot.series.push_back(std::move(line));
    }
    if (data.plots) {
      text += figure(fmt::format("curves-{}", number), draw(plot, fmt::format("c{}", number)),
                     fmt::format("Means over the seeds with 95 % intervals{}.",
                                 levels.size() > kMostSeries ? "; the first 20 lines" : ""));
    }
    ++number;
    text += summary(facet, series, higher).html();
  }
  if (text.empty()) return "";
  return paragraph(fmt::format(
             "Sparsity is the share of all pairs of tokens that attention leaves out. The mean "
             "over "
             "the range is the area under the line divided by the range that it covers: compare "
             "lines of one range. The front holds the points that no other beats in both sparsity "
             "and {}. Within a point: at most 0.01 worse than the densest row (1 where the metric "
             "is larger than 1).",
             data.runs.front().metric)) +
         text;
}

}  // namespace

const ReportSection kCurvesSection{"curves", "Accuracy and sparsity", body};

}  // namespace filigree
