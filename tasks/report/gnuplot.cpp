#include "tasks/report/gnuplot.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/degrees/degree_plot.h"
#include "tasks/report/html.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

// Colours that are told apart by colour-blind readers and on light and dark paper.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                    "#e69f00", "#56b4e9", "#8a8f98"};
constexpr int kMarks[] = {7, 5, 9, 11, 13, 6, 4, 8};
constexpr int kHeight = 440, kKeyLine = 20;

/// A folder for one plot, removed with it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "filigree-plot-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw FileError(name, std::strerror(errno), "check TMPDIR, and the disk's room");
    }
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A string of gnuplot in single quotes: a quote is doubled, control characters are blanks.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') result += '\'';
    result += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return result + "'";
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

std::string script_of(const LinePlot& plot, const fs::path& picture) {
  const size_t rows = plot.series.size() + 1;
  std::string text = fmt::format(
      "set terminal svg size 880,{} font 'sans-serif,13'\nset output {}\n"
      "set xlabel {} noenhanced\nset ylabel {} noenhanced\nset grid linecolor rgb '#808890'\n"
      "set border 3\nset tics nomirror\nset key below left maxcols 2 noenhanced\nset offsets "
      "graph 0.03, graph 0.03, graph 0.05, graph 0.05\nset errorbars small\n",
      kHeight + kKeyLine * static_cast<int>((rows + 1) / 2), quoted(picture.string()),
      quoted(plot.x_label), quoted(plot.y_label));
  size_t number = 0;
  std::string lines;
  for (size_t s = 0; s < plot.series.size(); ++s) {
    const PlotSeries& series = plot.series[s];
    text += fmt::format("$s{} << EOD\n", s);
    for (const PlotPoint& p : series.points) {
      text += fmt::format("{} {} {} {} {}\n", p.x, p.y, p.low, p.high, number++);
    }
    text += "EOD\n";
    const std::string style =
        fmt::format("linewidth 2 linecolor rgb '{}' dashtype {} pointtype {} pointsize 0.8",
                    kColours[s % std::size(kColours)], s / std::size(kColours) % 4 + 1,
                    kMarks[s % std::size(kMarks)]);
    lines += fmt::format(
        "{0}$s{1} using 1:2:3:4 with yerrorlines {2} title {3}, "
        "$s{1} using 1:2:(sprintf('%d', $5)) with labels hypertext point pointtype 7 pointsize 1.2 "
        "linecolor rgb '#fe808890' notitle",
        s == 0 ? "plot " : ", ", s, style, quoted(series.name));
  }
  return text + lines + "\n";
}

/// Groups without content, which gnuplot makes many of.
void drop_empty_groups(std::string& svg) {
  const std::string end = "\">\n</g>\n";
  for (size_t at = svg.find(end); at != std::string::npos; at = svg.find(end, at)) {
    const size_t start = svg.rfind("<g ", at);
    svg.erase(start, at + end.size() - start);
    at = start;
  }
}

/// "<g onmousemove="..'17'.."><title> </title>" becomes "<g><title>the 17th title</title>".
void put_titles(std::string& svg, const std::vector<std::string>& titles) {
  const std::string begin = "<g onmousemove=\"gnuplot_svg.showHypertext(evt,'";
  const std::string end = "<title> </title>";
  for (size_t at = svg.find(begin); at != std::string::npos; at = svg.find(begin, at + 1)) {
    const size_t number = std::strtoul(svg.c_str() + at + begin.size(), nullptr, 10);
    const size_t close = svg.find(end, at);
    if (close == std::string::npos || number >= titles.size()) return;
    svg.replace(at, close + end.size() - at, "<g><title>" + escape(titles[number]) + "</title>");
  }
}

}  // namespace

bool gnuplot_is_there() {
  static const bool there = [] {
    const ScratchFolder folder;
    write_file(folder.path() / "empty.gp", "");
    return run_gnuplot(folder.path() / "empty.gp");
  }();
  return there;
}

std::string draw(const LinePlot& plot, const std::string& id) {
  const ScratchFolder folder;
  const fs::path picture = folder.path() / "plot.svg";
  write_file(folder.path() / "plot.gp", script_of(plot, picture));
  if (!run_gnuplot(folder.path() / "plot.gp")) {
    throw FileError("gnuplot", "it is not installed", "on Debian: apt-get install gnuplot-nox");
  }
  std::string svg = read_file(picture);
  svg.erase(0, svg.find("<svg"));
  const size_t head = svg.find("<title>Gnuplot"), canvas = svg.find("<g id=");
  if (head != std::string::npos && canvas != std::string::npos) svg.erase(head, canvas - head);
  drop_empty_groups(svg);
  std::vector<std::string> titles;
  for (const PlotSeries& series : plot.series) {
    for (const PlotPoint& point : series.points) titles.push_back(point.title);
  }
  put_titles(svg, titles);
  replace_all(svg, " color=\"black\"", "");
  replace_all(svg, "\"black\"", "\"currentColor\"");
  replace_all(svg, "'black'", "'currentColor'");
  for (const char* name : {"gpDot", "gpPt", "textbox", "greybox", "gnuplot_"}) {
    replace_all(svg, name, id + "-" + name);
  }
  return svg;
}

}  // namespace filigree
