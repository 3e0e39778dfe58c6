// What the null models of a pattern share: rewired, shuffled. Private to attention.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attention/pattern.h"
#include "core/random.h"

namespace filigree {

/// The runs of every row of a sequence.
class RowRuns {
 public:
  void add_row(const Runs& row) {
    runs_.insert(runs_.end(), row.begin(), row.end());
    offsets_.push_back(runs_.size());
  }
  std::span<const Run> row(int64_t i) const {
    const auto at = static_cast<size_t>(i);
    return std::span(runs_).subspan(offsets_[at], offsets_[at + 1] - offsets_[at]);
  }

 private:
  std::vector<size_t> offsets_{0};
  std::vector<Run> runs_;
};

/// The edges of a pattern in one sequence, as its null models see them. Memory: O(n + edges of the
/// pattern and of what stands beside it).
struct NullGraph {
  int64_t length = 0;
  RowRuns closed;  ///< where no edge may come: the token itself, and what the pattern stands beside
  RowRuns fixed;   ///< the edges that are there nevertheless: they stay
  std::vector<int64_t> offsets{0};  ///< (n+1) into columns
  std::vector<int32_t> columns;     ///< (E) of the other edges; may come in any order in a row

  int64_t edges() const { return static_cast<int64_t>(columns.size()); }
};

/// Draws the columns of a graph anew. `key` is of the seed, layer, head and the graph: equal graphs
/// are drawn alike, others by themselves.
using Randomise = void (*)(NullGraph& graph, uint64_t key);

/// name(whole). In every row an edge to the token itself, and an edge that the other parts of a
/// union have too, stays; the others are drawn anew outside of these. So row by row a union with
/// name(P) has as many edges as with P. Cost: the graph of `whole` and of what stands beside it,
/// once a sequence, layer and head, and `randomise`.
std::shared_ptr<const PatternNode> null_model(std::string name, Purpose purpose,
                                              Randomise randomise,
                                              std::shared_ptr<const PatternNode> whole);

}  // namespace filigree
