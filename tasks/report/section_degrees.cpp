// What was learned of degrees: how far every head looks.
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tasks/report/html.h"
#include "tasks/report/sections.h"

namespace filigree {

namespace {

using Json = nlohmann::json;

constexpr size_t kMostRuns = 24;
constexpr double kWidth = 240, kHeight = 26;

/// The gate g(d) over the distances 1 .. R as a small area, with a line at the hardened reach.
std::string picture_of(const std::vector<double>& gate, double hard) {
  const auto reach = static_cast<double>(std::max<size_t>(gate.size(), 2) - 1);
  std::string points = fmt::format("0,{}", kHeight);
  for (size_t d = 0; d < gate.size(); ++d) {
    const double y = kHeight - 2 - (kHeight - 4) * gate[d];
    points += fmt::format(" {:.1f},{:.1f}", kWidth * static_cast<double>(d) / reach, y);
  }
  points += fmt::format(" {},{}", kWidth, kHeight);
  const double mark = kWidth * hard / reach;
  return fmt::format(
      "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
      "aria-label=\"gate\"><polygon points=\"{2}\" fill=\"#0072b2\" fill-opacity=\"0.55\"/>"
      "<path d=\"M{3:.1f},0V{1}\" stroke=\"#d55e00\" stroke-width=\"2\"/></svg>",
      kWidth, kHeight, points, mark);
}

/// "2: 31 %, 7: 12 %", the reaches that most tokens have, or edges belong to.
std::string largest(const Json& distribution) {
  if (!distribution.is_array()) return "the gate rises with the distance";
  std::vector<std::pair<double, size_t>> shares;
  for (size_t d = 0; d < distribution.size(); ++d) {
    shares.emplace_back(-distribution[d].get<double>(), d);
  }
  std::sort(shares.begin(), shares.end());
  std::string text;
  for (size_t k = 0; k < std::min<size_t>(4, shares.size()); ++k) {
    text +=
        fmt::format("{}{}: {:.0f} %", k == 0 ? "" : ", ", shares[k].second, -100 * shares[k].first);
  }
  return text;
}

HtmlTable heads_of(const Json& learned, const std::string& name) {
  HtmlTable table{"degrees-" + name,
                  {"layer", "head", "gate g(d), d = 0 to reach", "mean reach", "hardened to",
                   "density, %", "reaches of most tokens", "reaches of most edges"},
                  {},
                  false};
  for (const Json& head : learned.at("heads")) {
    const Json none = Json::object();
    const Json& hard = head.contains("hard") ? head.at("hard") : none;
    const double reach = hard.value("reach", 0.0);
    HtmlCell picture{picture_of(head.at("gate").get<std::vector<double>>(), reach)};
    picture.title = "area: gate; line: hardened reach " + std::to_string(static_cast<int>(reach));
    table.rows.push_back(
        {number_cell(head.at("layer"), "{:.0f}"), number_cell(head.at("head"), "{:.0f}"), picture,
         number_cell(head.at("mean_reach"), "{:.2f}"), text_cell(hard.value("pattern", "")),
         number_cell(100 * head.at("density").get<double>(), "{:.2f}"),
         text_cell(largest(head.at("node"))), text_cell(largest(head.at("edge")))});
  }
  return table;
}

std::string body(const ReportData& data) {
  std::string text;
  size_t learned = 0;
  for (const StudyRow& row : data.table.rows) {
    for (const RunRecord& summary : row.runs) {
      if (summary.command != "learn" || ++learned > kMostRuns) continue;
      const std::string degrees = data.store.find(summary.id).value().details.degrees;
      const Json json = Json::parse(degrees, nullptr, false);
      if (json.is_discarded() || !json.contains("heads")) continue;
      text += fmt::format("<details{}><summary>{}, seed {}</summary>\n{}</details>\n",
                          learned == 1 ? " open" : "", escape(name_of(data.table, row)),
                          summary.seed, heads_of(json, summary.id).html());
    }
  }
  if (text.empty()) return "";
  return paragraph(
             "How far every head looks: the gate g(d) is the probability that a token sees a "
             "neighbour at distance d, its mean reach the sum of g(d) over d. Of tokens: the share "
             "of them that look as far as that (the node perspective); of edges: the share of "
             "edges "
             "that such tokens have (the edge perspective).") +
         (learned > kMostRuns
              ? paragraph(fmt::format("The first {} of {} learned runs.", kMostRuns, learned),
                          "note")
              : "") +
         text;
}

}  // namespace

const ReportSection kDegreesSection{"degrees", "Learned degrees", body};

}  // namespace filigree
