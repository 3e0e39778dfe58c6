// Rows of patterns as plain sets, for tests.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string_view>
#include <vector>

#include "attention/pattern.h"

namespace filigree::testing_attention {

using Columns = std::set<int64_t>;

inline Columns columns_of(const Runs& runs) {
  Columns columns;
  for (const Run& run : runs) {
    for (int32_t j = run.lo; j < run.hi; ++j) columns.insert(j);
  }
  return columns;
}

inline Columns row_of(const Pattern& pattern, const SequenceView& sequence, int64_t i,
                      const GraphKey& key = {}) {
  Runs runs;
  pattern.row(sequence, i, key, runs);
  return columns_of(runs);
}

inline std::vector<Columns> rows_of(std::string_view text, const SequenceView& sequence,
                                    const GraphKey& key = {}) {
  const Pattern pattern = parse_pattern(text);
  std::vector<Columns> rows;
  for (int64_t i = 0; i < sequence.length; ++i) {
    rows.push_back(row_of(pattern, sequence, i, key));
  }
  return rows;
}

/// A pattern's definition: does i see j in a sequence of length n?
using Definition = std::function<bool(int64_t n, int64_t i, int64_t j)>;

inline Columns row_by(const Definition& sees, int64_t n, int64_t i) {
  Columns columns;
  for (int64_t j = 0; j < n; ++j) {
    if (sees(n, i, j)) columns.insert(j);
  }
  return columns;
}

}  // namespace filigree::testing_attention
