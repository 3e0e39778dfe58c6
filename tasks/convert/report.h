// What a conversion did, for the user to read.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace filigree {

struct ConversionReport {
  /// A tensor (or tensors, joined) of the source, and what it became.
  std::vector<std::pair<std::string, std::string>> mapped;
  std::vector<std::string> skipped;   ///< in the source, not in the result: "name: why"
  std::vector<std::string> left_new;  ///< parameters that a head needs and the source lacks
  std::vector<std::string> notes;     ///< anything else to know
};

/// The report in lines; `list`: with a line for every mapped tensor.
std::string to_text(const ConversionReport& report, bool list);

}  // namespace filigree
