#include "tasks/convert/report.h"

#include <fmt/format.h>

namespace filigree {

std::string to_text(const ConversionReport& report, bool list) {
  std::string text = fmt::format("mapped    {} tensors\n", report.mapped.size());
  for (const auto& [from, to] : report.mapped) {
    if (list) text += fmt::format("  {} -> {}\n", from, to);
  }
  const auto lines = [&](std::string_view title, const std::vector<std::string>& entries) {
    if (entries.empty()) return;
    text += fmt::format("{:<9} {}\n", title, entries.size());
    for (const std::string& entry : entries) text += fmt::format("  {}\n", entry);
  };
  lines("skipped", report.skipped);
  lines("left new", report.left_new);
  for (const std::string& note : report.notes) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace filigree
