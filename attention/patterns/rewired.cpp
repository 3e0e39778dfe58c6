// rewired: all degrees as in a pattern, the rest at random.
#include <bit>

#include "attention/patterns/draw_columns.h"
#include "attention/patterns/kind.h"
#include "attention/patterns/null_model.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr int64_t kAttempts = 10;    // an edge
constexpr int64_t kFurther = 300;    // attempts in any graph
constexpr int64_t kOneOfThree = 8;   // every eighth attempt is one with three edges
constexpr int64_t kBitsAPair = 256;  // of a table of all pairs at most, else pairs are hashed

/// A set of pairs, numbered i n + j, as a table of bits: n^2 / 8 bytes.
class PairTable {
 public:
  PairTable(int64_t n, int64_t /*most*/) : bits_(static_cast<size_t>((n * n + 63) / 64)) {}

  bool contains(uint64_t pair) const { return (bits_[pair / 64] >> (pair % 64) & 1) != 0; }
  void insert(uint64_t pair) { bits_[pair / 64] |= uint64_t{1} << (pair % 64); }
  void erase(uint64_t pair) { bits_[pair / 64] &= ~(uint64_t{1} << (pair % 64)); }

 private:
  std::vector<uint64_t> bits_;
};

/// The same by open addressing, at most half full: 16 to 32 bytes a pair.
class PairHash {
 public:
  PairHash(int64_t /*n*/, int64_t most)
      : slots_(std::bit_ceil(2 * static_cast<size_t>(most) + 2), kNone), mask_(slots_.size() - 1) {}

  bool contains(uint64_t pair) const { return slots_[place(pair)] == pair; }
  void insert(uint64_t pair) { slots_[place(pair)] = pair; }
  /// Closes the gap, so that nothing behind it is lost (Knuth, vol. 3, 6.4, algorithm R).
  void erase(uint64_t pair) {
    size_t gap = place(pair);
    for (size_t next = after(gap); slots_[next] != kNone; next = after(next)) {
      if (((next - home(slots_[next])) & mask_) < ((next - gap) & mask_)) continue;
      slots_[gap] = slots_[next];
      gap = next;
    }
    slots_[gap] = kNone;
  }

 private:
  static constexpr uint64_t kNone = ~uint64_t{0};

  size_t home(uint64_t pair) const {
    return static_cast<size_t>((pair * 0x9e3779b97f4a7c15u) >> 32) & mask_;
  }
  size_t after(size_t slot) const { return (slot + 1) & mask_; }
  /// Where the pair is, or would come.
  size_t place(uint64_t pair) const {
    size_t slot = home(pair);
    while (slots_[slot] != pair && slots_[slot] != kNone) slot = after(slot);
    return slot;
  }

  std::vector<uint64_t> slots_;
  size_t mask_;
};

/// Exchanges the columns of edges, where that makes no edge twice and none that is closed.
template <class Pairs>
class Rewirer {
 public:
  /// `blocked`: how many pairs are edges or closed.
  Rewirer(NullGraph& graph, int64_t blocked) : graph_(graph), blocked_(graph.length, blocked) {
    rows_.reserve(static_cast<size_t>(graph.edges()));
    for (int32_t i = 0; i < static_cast<int32_t>(graph.length); ++i) {
      for (const Run& run : graph.closed.row(i)) {
        for (int32_t j = run.lo; j < run.hi; ++j) blocked_.insert(pair(i, j));
      }
      for (int64_t e = graph.offsets[static_cast<size_t>(i)];
           e < graph.offsets[static_cast<size_t>(i) + 1]; ++e) {
        rows_.push_back(i);
        blocked_.insert(pair(i, column(e)));
      }
    }
  }

  /// (a, b), (c, d) -> (a, d), (c, b). Refused if the two share a row or a column: one of them
  /// would be made again.
  void exchange_two(int64_t first, int64_t second) {
    const int32_t b = column(first), d = column(second);
    if (!open(row(first), d) || !open(row(second), b)) return;
    leave(first);
    leave(second);
    enter(first, d);
    enter(second, b);
  }
  /// (a, b), (c, d), (e, f) -> (a, d), (c, f), (e, b).
  void exchange_three(int64_t first, int64_t second, int64_t third) {
    const int32_t b = column(first), d = column(second), f = column(third);
    if (!open(row(first), d) || !open(row(second), f) || !open(row(third), b)) return;
    leave(first);
    leave(second);
    leave(third);
    enter(first, d);
    enter(second, f);
    enter(third, b);
  }

 private:
  int32_t row(int64_t edge) const { return rows_[static_cast<size_t>(edge)]; }
  int32_t& column(int64_t edge) { return graph_.columns[static_cast<size_t>(edge)]; }
  uint64_t pair(int32_t i, int32_t j) const {
    return static_cast<uint64_t>(i) * static_cast<uint64_t>(graph_.length) +
           static_cast<uint64_t>(j);
  }
  bool open(int32_t i, int32_t j) const { return !blocked_.contains(pair(i, j)); }
  void leave(int64_t edge) { blocked_.erase(pair(row(edge), column(edge))); }
  void enter(int64_t edge, int32_t j) {
    column(edge) = j;
    blocked_.insert(pair(row(edge), j));
  }

  NullGraph& graph_;
  std::vector<int32_t> rows_;  // (E)
  Pairs blocked_;              // edges, and what is closed
};

template <class Pairs>
void exchange(NullGraph& graph, int64_t blocked, uint64_t key) {
  const auto edges = static_cast<uint32_t>(graph.edges());
  RowDraws draws(key, 0);
  Rewirer<Pairs> rewirer(graph, blocked);
  for (int64_t attempt = 0; attempt < kAttempts * edges + kFurther; ++attempt) {
    const int64_t first = draws.below(edges), second = draws.below(edges);
    if (attempt % kOneOfThree != kOneOfThree - 1) {
      rewirer.exchange_two(first, second);
    } else {
      rewirer.exchange_three(first, second, draws.below(edges));
    }
  }
}

/// The switching method: a Markov chain whose every step is as likely as its reverse, so that in
/// the long run each graph with these degrees that the chain reaches is as likely (Milo, Kashtan,
/// Itzkovitz, Newman and Alon 2003, arXiv cond-mat/0312028). An attempt exchanges the columns of
/// two edges drawn at random, or of three: with the diagonal closed two do not reach every graph (a
/// circle of three edges cannot be turned round), two and three do (Berger and Mueller-Hannemann
/// 2010, arXiv 0912.0685). Refused attempts count: without them graphs with few ways out would
/// come too often.
///
/// Attempts: 10 an edge, and 300 more for small graphs. Where few are refused they mix the columns
/// as random transpositions mix cards, which takes (E / 2) ln E of them (Diaconis and Shahshahani
/// 1981): 10 E is more up to e^20 edges. Cost O(n + edges), those beside the pattern included; at
/// most 36 bytes an edge beside the graph.
void rewire(NullGraph& graph, uint64_t key) {
  const int64_t pairs = graph.length * graph.length;
  int64_t blocked = graph.edges();
  for (int64_t i = 0; i < graph.length; ++i) {
    for (const Run& run : graph.closed.row(i)) blocked += run.hi - run.lo;
  }
  if (graph.edges() < 2 || blocked == pairs) return;  // nothing can be exchanged
  if (graph.edges() > UINT32_MAX) {
    throw DataError("pattern rewired", "more than 2^32 edges in a sequence");
  }
  if (pairs / kBitsAPair <= blocked) {
    exchange<PairTable>(graph, blocked, key);
  } else {
    exchange<PairHash>(graph, blocked, key);
  }
}

}  // namespace

PatternKind rewired_pattern() {
  return {{"rewired", "rewired(P)",
           "null model of a pattern P: every token sees as many others, and is seen by as many, as "
           "in P; otherwise edges are drawn anew for each layer and head"},
          {},
          {},
          0,
          [](std::shared_ptr<const PatternNode> whole) {
            return null_model("rewired", Purpose::rewired, rewire, std::move(whole));
          }};
}

}  // namespace filigree
