// shuffled: as many tokens a query as in a pattern, which ones at random.
#include "attention/patterns/draw_columns.h"
#include "attention/patterns/kind.h"
#include "attention/patterns/null_model.h"

namespace filigree {

namespace {

/// Every row by itself: as many columns as it has, each set of them outside of the closed ones as
/// likely. Cost O(edges + n^2 / 64).
void shuffle_rows(NullGraph& graph, uint64_t key) {
  Runs closed, drawn;
  for (int64_t i = 0; i < graph.length; ++i) {
    int64_t at = graph.offsets[static_cast<size_t>(i)];
    const int64_t count = graph.offsets[static_cast<size_t>(i) + 1] - at;
    if (count == 0) continue;
    const std::span<const Run> runs = graph.closed.row(i);
    closed.assign(runs.begin(), runs.end());
    drawn.clear();
    RowDraws draws(key, i);
    draw_columns(draws, count, graph.length, closed, drawn);
    for (const Run& run : drawn) {
      for (int32_t j = run.lo; j < run.hi; ++j) graph.columns[static_cast<size_t>(at++)] = j;
    }
  }
}

}  // namespace

PatternKind shuffled_pattern() {
  return {
      {"shuffled", "shuffled(P)",
       "null model of a pattern P: every token sees as many others as in P, which ones is drawn "
       "anew for each layer and head"},
      {},
      {},
      0,
      [](std::shared_ptr<const PatternNode> whole) {
        return null_model("shuffled", Purpose::shuffled, shuffle_rows, std::move(whole));
      }};
}

}  // namespace filigree
