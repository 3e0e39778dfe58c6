#include "tasks/report/report.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

#include "tasks/report/gnuplot.h"
#include "tasks/report/html.h"
#include "tasks/report/page_assets.h"
#include "tasks/report/sections.h"

namespace filigree {

namespace {

const ReportSection* const kSections[] = {&kClaimsSection,   &kTableSection,   &kCurvesSection,
                                          &kHeatSection,     &kDegreesSection, &kGraphsSection,
                                          &kTrainingSection, &kRunsSection};

/// "1 h 02 min", "3 min 20 s", "12 s".
std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

/// What was run, where and for how long.
std::string summary(const ReportData& data) {
  std::set<std::string> metrics, machines, versions;
  std::string first, last;
  double seconds = 0;
  for (const RunRecord& run : data.runs) {
    metrics.insert(run.metric);
    machines.insert(run.machine);
    versions.insert(run.version);
    seconds += run.seconds;
    if (!run.finished.empty() && (first.empty() || run.finished < first)) first = run.finished;
    last = std::max(last, run.finished);
  }
  std::string text = "<dl>";
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format("<dt>{}</dt><dd>{}</dd>", name, escape(value));
  };
  line("runs", data.table.done == data.table.planned
                   ? fmt::format("{}, all done", data.table.planned)
                   : fmt::format("{} of {} done", data.table.done, data.table.planned));
  for (size_t a = 0; a < data.study.axes.size(); ++a) {
    const auto& levels = data.study.levels[a];
    const size_t shown = std::min<size_t>(levels.size(), 12);
    line(escape(data.study.axes[a]).c_str(),
         fmt::format(
             "{}{}", fmt::join(levels.begin(), levels.begin() + shown, ", "),
             shown < levels.size() ? fmt::format(" and {} more", levels.size() - shown) : ""));
  }
  line("metric", fmt::format("{}", fmt::join(metrics, ", ")));
  line("time of training", duration(seconds));
  line("finished", first == last ? last : fmt::format("{} to {}", first, last));
  line("machine", fmt::format("{}", fmt::join(machines, "; ")));
  line("version", fmt::format("{}", fmt::join(versions, ", ")));
  return text + "</dl>\n";
}

std::string head(const std::string& title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{}</h1>\n",
      escape(title), kPageCss, escape(title));
}

/// Of a store without a plan: its runs by pattern and placement.
StudyRecord study_of(const RunStore& store, const std::vector<RunRecord>& runs) {
  const std::optional<StudyRecord> study = store.study();
  return study ? *study : implied_study(runs);
}

}  // namespace

std::string name_of(const StudyTable& table, const StudyRow& row, size_t without) {
  std::vector<std::string> parts;
  for (size_t a = 0; a < row.levels.size(); ++a) {
    if (a != without) parts.push_back(fmt::format("{} = {}", table.axes[a], row.levels[a]));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string study_report(const RunStore& store, const std::filesystem::path& folder) {
  ReportData data{store, folder, {}, store.all(), {}, gnuplot_is_there()};
  data.study = study_of(store, data.runs);
  data.table = study_table(data.study, data.runs);
  const std::string title = data.study.question.empty() ? "A study" : data.study.question;
  std::string sections, links;
  for (const ReportSection* section : kSections) {
    const std::string body = section->body(data);
    if (body.empty()) continue;
    links += fmt::format("<a href=\"#{}\">{}</a>", section->id, section->title);
    sections += fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", section->id,
                            section->title, body);
  }
  std::string page = head(title) + summary(data);
  if (data.runs.empty()) page += paragraph("No run is done yet.");
  if (!data.plots) {
    page +=
        paragraph("Pictures are left out: gnuplot is not installed (Debian: gnuplot-nox).", "note");
  }
  return page + "<nav>" + links + "</nav>\n" + sections + "<script>\n" + kPageJs +
         "</script>\n</body>\n</html>\n";
}

}  // namespace filigree
