// Pieces of HTML.
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace filigree {

/// Text for an element or an attribute in double quotes: & < > " ' are escaped.
std::string escape(std::string_view text);

/// One cell of an HtmlTable. `sort` is what a number is sorted by.
struct HtmlCell {
  std::string html;
  double sort = std::nan("");
  bool number = false;
  std::string title = {};  ///< shown on hovering; not escaped yet
  std::string style = {};
};

/// A cell of text, which is escaped.
HtmlCell text_cell(std::string_view text);
/// A number, shown by a format of fmt; empty if it is not finite.
HtmlCell number_cell(double value, const char* format);

/// A table with a button that saves it as CSV, in a box of its own that scrolls sideways. Its head
/// sorts it.
struct HtmlTable {
  std::string name;  ///< of the file that is saved
  std::vector<std::string> head;
  std::vector<std::vector<HtmlCell>> rows;
  bool filter = false;  ///< with a box for words that rows must hold

  std::string html() const;
};

/// A picture with its caption and a button that saves it as SVG.
std::string figure(const std::string& name, const std::string& svg, const std::string& caption);

/// <p> of text, which is escaped.
std::string paragraph(std::string_view text, const char* style = "");

}  // namespace filigree
