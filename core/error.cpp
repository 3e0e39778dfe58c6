#include "core/error.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace filigree {

namespace {

std::string message(std::string_view where, std::string_view what, std::string_view hint) {
  std::string text = "[" + std::string(where) + "] " + std::string(what);
  if (!hint.empty()) text += "\nhint: " + std::string(hint);
  return text;
}

}  // namespace

Error::Error(std::string_view where, std::string_view what, std::string_view hint)
    : std::runtime_error(message(where, what, hint)), where_(where) {}

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const int substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace filigree
