#include "attention/report/flow.h"

#include <fmt/format.h>
#include <numeric>

#include "attention/report/rows.h"
#include "core/error.h"

namespace filigree {

namespace {

/// Disjoint sets with path halving.
class Sets {
 public:
  explicit Sets(int64_t count) : parent_(static_cast<size_t>(count)) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int32_t root(int32_t i) {
    while (parent_[static_cast<size_t>(i)] != i) {
      int32_t& up = parent_[static_cast<size_t>(i)];
      up = parent_[static_cast<size_t>(up)];
      i = up;
    }
    return i;
  }
  void join(int32_t a, int32_t b) {
    a = root(a), b = root(b);
    parent_[static_cast<size_t>(std::max(a, b))] = std::min(a, b);
  }

 private:
  std::vector<int32_t> parent_;
};

}  // namespace

Components components_of(const AttentionGraph& graph) {
  Sets sets(graph.tokens());
  for (int g = 0; g < graph.groups(); ++g) {
    for_rows(graph, g, [&](int64_t, int64_t i, std::span<const int32_t> row) {
      for (const int32_t j : row) sets.join(static_cast<int32_t>(i), j);
    });
  }
  Components result;
  const int64_t* offsets = graph.offsets().data<int64_t>();
  std::vector<int64_t> size(static_cast<size_t>(graph.tokens()));
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    int64_t count = 0, largest = 0;
    for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
      int64_t& here = size[static_cast<size_t>(sets.root(static_cast<int32_t>(i)))];
      count += here == 0;
      largest = std::max(largest, ++here);
    }
    result.count.push_back(count);
    result.largest.push_back(largest);
  }
  return result;
}

Reach reach_of(const LayerGraphs& graphs, int64_t position) {
  Reach reach;
  if (graphs.empty()) return reach;
  for (const auto& graph : graphs) {
    if (!std::ranges::equal(graph->offsets().span<int64_t>(),
                            graphs.front()->offsets().span<int64_t>())) {
      throw ShapeError("reach", "the graphs of the layers are over different sequences");
    }
  }
  const Tensor packed = graphs.front()->offsets();
  const int64_t* offsets = packed.data<int64_t>();
  const int64_t sequences = graphs.front()->sequences();
  std::vector<uint8_t> in(static_cast<size_t>(offsets[sequences]), 0);
  std::vector<std::vector<int64_t>> members(static_cast<size_t>(sequences));
  reach.tokens.emplace_back();
  for (int64_t b = 0; b < sequences; ++b) {
    if (position < offsets[b + 1] - offsets[b]) {
      members[static_cast<size_t>(b)].push_back(offsets[b] + position);
      in[static_cast<size_t>(offsets[b] + position)] = 1;
    }
    reach.tokens.back().push_back(static_cast<int64_t>(members[static_cast<size_t>(b)].size()));
  }
  std::vector<int32_t> row;
  for (size_t layer = graphs.size(); layer-- > 0;) {
    const AttentionGraph& graph = *graphs[layer];
    reach.tokens.emplace_back();
    for (int64_t b = 0; b < sequences; ++b) {
      std::vector<int64_t>& set = members[static_cast<size_t>(b)];
      row.resize(std::max(row.size(), static_cast<size_t>(offsets[b + 1] - offsets[b])));
      const size_t before = set.size();
      for (size_t m = 0; m < before; ++m) {
        for (int g = 0; g < graph.groups(); ++g) {
          const int64_t count = graph.row(g, b, set[m], row.data());
          for (int64_t e = 0; e < count; ++e) {
            const int32_t j = row[static_cast<size_t>(e)];
            if (in[static_cast<size_t>(j)]) continue;
            in[static_cast<size_t>(j)] = 1;
            set.push_back(j);
          }
        }
      }
      reach.tokens.back().push_back(static_cast<int64_t>(set.size()));
    }
  }
  for (int64_t b = 0; b < sequences; ++b) {
    if (members[static_cast<size_t>(b)].empty()) continue;
    for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
      if (!in[static_cast<size_t>(i)]) reach.unreachable.push_back(i);
    }
  }
  return reach;
}

std::string empty_rows_warning(const LayerGraphs& graphs, const std::string& pattern) {
  int64_t empty = 0, rows = 0;
  for (const auto& graph : graphs) {
    empty += graph->empty_rows();
    rows += graph->tokens() * graph->heads();
  }
  if (empty == 0) return "";
  return fmt::format(
      "warning: {} of {} rows of attention (tokens x heads x layers of the batch) see no "
      "token "
      "under \"{}\": they give 0. Leave out \"noself\", or add \"| global:cls\"",
      empty, rows, pattern);
}

std::string flow_warning(const LayerGraphs& graphs, const std::string& pattern) {
  if (graphs.empty()) return "";
  const Reach reach = reach_of(graphs);
  if (reach.unreachable.empty()) return "";
  const int64_t tokens = graphs.front()->tokens();
  int64_t touched = 0;
  const std::vector<int64_t>& top = reach.tokens.back();
  const int64_t* offsets = graphs.front()->offsets().data<int64_t>();
  for (size_t b = 0; b < top.size(); ++b) touched += top[b] < offsets[b + 1] - offsets[b];
  return fmt::format(
      "warning: {} of {} tokens, in {} of {} sequences of the first batch, cannot reach the first "
      "token, which is pooled, through {} layers of \"{}\": what they say is lost. Add \"| "
      "global:cls\", widen the pattern, leave a layer dense, or pool the mean (--model.pool mean)",
      reach.unreachable.size(), tokens, touched, top.size(), graphs.size(), pattern);
}

}  // namespace filigree
