// Which axis of a study is what in a picture.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tasks/study/study_table.h"

namespace filigree {

inline constexpr size_t kNoAxis = static_cast<size_t>(-1);

/// Rows that may be compared: one metric, one level of the axes that choose the data.
struct Facet {
  std::string name;  ///< "task = imdb", or empty
  std::vector<const StudyRow*> rows;
};

/// The axis whose levels are lines of one picture: the baseline's; else the first with several
/// levels that is neither data nor density. kNoAxis if there is none.
size_t series_axis(const StudyTable& table);

/// Divides the rows that have runs by their metric and the levels of axes named task, labelling,
/// data or dataset. Without `by_data`: by their metric alone.
std::vector<Facet> facets_of(const StudyTable& table, bool by_data = true);

/// The levels of an axis in the order of the rows.
std::vector<std::string> levels_of(const std::vector<const StudyRow*>& rows, size_t axis);

/// True if larger values are better.
bool higher_is_better(const Facet& facet);

}  // namespace filigree
