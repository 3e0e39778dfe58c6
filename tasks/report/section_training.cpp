// Training curves: loss and dev metric against steps, in the mean over the seeds.
#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "tasks/report/axes.h"
#include "tasks/report/gnuplot.h"
#include "tasks/report/html.h"
#include "tasks/report/sections.h"

namespace filigree {

namespace {

constexpr size_t kMostLines = 14, kMostFacets = 8;

/// Mean, least and most over the runs at every step that all of them have.
PlotSeries series_of(const std::string& name, const std::vector<std::map<int64_t, double>>& runs) {
  PlotSeries series{name, {}};
  for (const auto& [step, first] : runs.front()) {
    PlotPoint point{static_cast<double>(step), 0, first, first, {}};
    bool whole = true;
    for (const auto& run : runs) {
      const auto found = run.find(step);
      whole = whole && found != run.end() && std::isfinite(found->second);
      if (!whole) break;
      point.y += found->second / static_cast<double>(runs.size());
      point.low = std::min(point.low, found->second);
      point.high = std::max(point.high, found->second);
    }
    if (!whole) continue;
    point.title = fmt::format("{}, step {}: {:.4f}", name, step, point.y);
    series.points.push_back(std::move(point));
  }
  return series;
}

std::string body(const ReportData& data) {
  if (!data.plots) return "";
  std::string text;
  size_t number = 0;
  for (const Facet& facet : facets_of(data.table)) {
    if (number == kMostFacets) break;
    LinePlot loss{"step", "training loss", {}}, metric{"step", "", {}};
    for (const StudyRow* row : facet.rows) {
      if (loss.series.size() == kMostLines) break;
      std::vector<std::map<int64_t, double>> losses, values;
      for (const RunRecord& summary : row->runs) {
        const RunRecord run = data.store.find(summary.id).value();
        losses.emplace_back();
        values.emplace_back();
        for (const LossPoint& point : run.details.curve) losses.back()[point.step] = point.loss;
        for (const auto& each : run.details.evaluations) values.back()[each.step] = each.metric;
      }
      std::string name;
      for (size_t a = 0; a < row->levels.size(); ++a) {
        if (levels_of(facet.rows, a).size() > 1)
          name += (name.empty() ? "" : ", ") + row->levels[a];
      }
      loss.series.push_back(series_of(name, losses));
      metric.series.push_back(series_of(name, values));
    }
    metric.y_label = facet.rows.front()->runs.front().metric + " (dev)";
    const std::string note =
        facet.rows.size() > kMostLines
            ? fmt::format(" The first {} of {} combinations.", kMostLines, facet.rows.size())
            : "";
    if (!facet.name.empty()) text += "<h3>" + escape(facet.name) + "</h3>\n";
    for (const LinePlot* plot : {&metric, &loss}) {
      const bool drawn = std::any_of(plot->series.begin(), plot->series.end(),
                                     [](const PlotSeries& s) { return s.points.size() > 1; });
      if (!drawn) continue;
      const std::string id = fmt::format("{}{}", plot == &loss ? "l" : "m", number);
      text += figure("training-" + id, draw(*plot, id),
                     "Mean over the seeds, with the least and the largest value." + note);
    }
    ++number;
  }
  return text;
}

}  // namespace

const ReportSection kTrainingSection{"training", "Training", body};

}  // namespace filigree
