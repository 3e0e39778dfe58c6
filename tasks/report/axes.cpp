#include "tasks/report/axes.h"

#include <algorithm>
#include <map>
#include <set>

namespace filigree {

namespace {

const std::set<std::string> kData{"task", "labelling", "data", "dataset"};
const std::set<std::string> kDensity{"density", "sparsity"};

}  // namespace

size_t series_axis(const StudyTable& table) {
  const std::string named = table.baseline.substr(0, table.baseline.find('='));
  for (size_t a = 0; a < table.axes.size(); ++a) {
    if (table.axes[a] == named) return a;
  }
  for (size_t a = 0; a < table.axes.size(); ++a) {
    if (kData.contains(table.axes[a]) || kDensity.contains(table.axes[a])) continue;
    std::set<std::string> levels;
    for (const StudyRow& row : table.rows) levels.insert(row.levels[a]);
    if (levels.size() > 1) return a;
  }
  return kNoAxis;
}

std::vector<Facet> facets_of(const StudyTable& table, bool by_data) {
  std::vector<Facet> facets;
  std::map<std::string, size_t> place;
  for (const StudyRow& row : table.rows) {
    if (row.runs.empty()) continue;
    std::string name;
    for (size_t a = 0; a < table.axes.size(); ++a) {
      if (!by_data || !kData.contains(table.axes[a])) continue;
      name += (name.empty() ? "" : ", ") + table.axes[a] + " = " + row.levels[a];
    }
    const std::string key = name + "\n" + row.runs.front().metric;
    const auto [at, is_new] = place.emplace(key, facets.size());
    if (is_new) facets.push_back({name, {}});
    facets[at->second].rows.push_back(&row);
  }
  return facets;
}

std::vector<std::string> levels_of(const std::vector<const StudyRow*>& rows, size_t axis) {
  std::vector<std::string> levels;
  std::set<std::string> seen;
  for (const StudyRow* row : rows) {
    if (seen.insert(row->levels[axis]).second) levels.push_back(row->levels[axis]);
  }
  return levels;
}

bool higher_is_better(const Facet& facet) {
  return facet.rows.front()->runs.front().higher_is_better;
}

}  // namespace filigree
