// Plots of lines with intervals, drawn by gnuplot, as SVG that follows the page's colours.
#pragma once

#include <string>
#include <vector>

namespace filigree {

struct PlotPoint {
  double x = 0, y = 0;
  double low = 0, high = 0;  ///< interval; low = high = y: none
  std::string title = {};    ///< shown on hovering
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< in the order in which they are joined
};

struct LinePlot {
  std::string x_label, y_label;
  std::vector<PlotSeries> series;
};

/// True if gnuplot can be started. Asked once.
bool gnuplot_is_there();

/// The <svg> element. `id`, letters and digits, is what its inner names begin with: a page may hold
/// many. Colours are those of Okabe and Ito (2008), with dashes and marks that differ as well.
/// Throws FileError if gnuplot fails. Cost: a process, some 10 ms.
std::string draw(const LinePlot& plot, const std::string& id);

}  // namespace filigree
