#include "tasks/report/html.h"

#include <fmt/format.h>

namespace filigree {

std::string escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

HtmlCell text_cell(std::string_view text) { return {escape(text)}; }

HtmlCell number_cell(double value, const char* format) {
  if (!std::isfinite(value)) return {"", value, true};
  return {fmt::format(fmt::runtime(format), value), value, true};
}

std::string HtmlTable::html() const {
  std::string text =
      fmt::format("<div class=\"table\" data-name=\"{}\"><div class=\"bar\">", escape(name));
  if (filter) {
    text += "<input type=\"search\" placeholder=\"filter\" aria-label=\"rows that hold\">";
  }
  text += "<button type=\"button\" class=\"csv\">CSV</button></div><div class=\"scroll\"><table>";
  text += "<thead><tr>";
  for (size_t c = 0; c < head.size(); ++c) {
    const bool numbers = !rows.empty() && c < rows[0].size() && rows[0][c].number;
    text += fmt::format(
        "<th{} scope=\"col\" aria-sort=\"none\"><button type=\"button\">{}</button></th>",
        numbers ? " class=\"n\"" : "", escape(head[c]));
  }
  text += "</tr></thead><tbody>\n";
  for (const auto& row : rows) {
    text += "<tr>";
    for (const HtmlCell& cell : row) {
      text += cell.number ? "<td class=\"n\"" : "<td";
      if (std::isfinite(cell.sort)) text += fmt::format(" data-v=\"{}\"", cell.sort);
      if (!cell.title.empty()) text += fmt::format(" title=\"{}\"", escape(cell.title));
      if (!cell.style.empty()) text += fmt::format(" style=\"{}\"", cell.style);
      text += ">" + cell.html + "</td>";
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table></div></div>\n";
}

std::string figure(const std::string& name, const std::string& svg, const std::string& caption) {
  return fmt::format(
      "<figure data-name=\"{}\"><div class=\"bar\"><button type=\"button\" class=\"svg\">SVG"
      "</button></div><div class=\"scroll\">{}</div><figcaption>{}</figcaption></figure>\n",
      escape(name), svg, caption);
}

std::string paragraph(std::string_view text, const char* style) {
  return fmt::format("<p{}>{}</p>\n", *style == 0 ? "" : fmt::format(" class=\"{}\"", style),
                     escape(text));
}

}  // namespace filigree
