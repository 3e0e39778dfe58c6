#include "attention/kernels/graph_edges.h"

#include <algorithm>
#include <vector>

#include "attention/kernels/device_tables.h"

namespace filigree::kernels {

namespace {

/// The edges of one group, appended by rows and by columns.
class Lists {
 public:
  void append(const AttentionGraph& graph, int group) {
    const auto first = static_cast<int64_t>(columns.size());
    const auto offsets = graph.offsets().span<int64_t>();
    for (int64_t b = 0; b < graph.sequences(); ++b) {
      const int64_t begin = offsets[static_cast<size_t>(b)],
                    end = offsets[static_cast<size_t>(b) + 1];
      row_.resize(static_cast<size_t>(end - begin));
      for (int64_t i = begin; i < end; ++i) {
        row_bounds.push_back(static_cast<int64_t>(columns.size()));
        const int64_t count = graph.row(group, b, i, row_.data());
        columns.insert(columns.end(), row_.begin(), row_.begin() + count);
      }
    }
    row_bounds.push_back(static_cast<int64_t>(columns.size()));
    transpose(graph.tokens(), first);
  }

  std::vector<int64_t> row_bounds, column_bounds;
  std::vector<int32_t> columns, rows;

 private:
  /// Of the edges from `first` on; their rows' bounds are the last tokens + 1.
  void transpose(int64_t tokens, int64_t first) {
    std::vector<int64_t> next(static_cast<size_t>(tokens + 1), 0);
    for (auto e = static_cast<size_t>(first); e < columns.size(); ++e) {
      ++next[static_cast<size_t>(columns[e]) + 1];
    }
    next[0] = first;
    for (size_t j = 1; j < next.size(); ++j) next[j] += next[j - 1];
    column_bounds.insert(column_bounds.end(), next.begin(), next.end());
    rows.resize(columns.size());
    const int64_t* bounds = row_bounds.data() + row_bounds.size() - static_cast<size_t>(tokens + 1);
    for (int64_t i = 0; i < tokens; ++i) {
      for (int64_t e = bounds[i]; e < bounds[i + 1]; ++e) {
        const auto column = static_cast<size_t>(columns[static_cast<size_t>(e)]);
        rows[static_cast<size_t>(next[column]++)] = static_cast<int32_t>(i);
      }
    }
  }

  std::vector<int32_t> row_;
};

}  // namespace

DeviceEdges make_device_edges(const AttentionGraph& graph, Device device) {
  Lists lists;
  for (int g = 0; g < graph.groups(); ++g) lists.append(graph, g);
  std::vector<int32_t> group_of_head;
  for (int h = 0; h < graph.heads(); ++h) group_of_head.push_back(graph.group_of_head(h));
  DeviceEdges made;
  made.tokens = graph.tokens();
  DeviceTables tables;
  tables.add(lists.row_bounds, made.row_bounds);
  tables.add(lists.column_bounds, made.column_bounds);
  tables.add(lists.columns, made.columns);
  tables.add(lists.rows, made.rows);
  tables.add(group_of_head, made.group_of_head);
  made.memory = tables.copy(device);
  return made;
}

}  // namespace filigree::kernels
