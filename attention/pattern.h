// Patterns: rules that say which tokens of a sequence attend to which, with an algebra and a text
// form.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/runs.h"

namespace filigree {

class TokenVectors;

/// One sequence as a pattern sees it. A span may be empty where the data have no such thing; a
/// pattern that needs it then throws DataError.
struct SequenceView {
  int64_t length = 0;
  std::span<const int32_t> ids;  ///< (n) token ids
  std::span<const uint8_t>
      special;          ///< (n) 1 for [CLS], [SEP] ...; empty = only the first is special
  uint64_t sample = 0;  ///< number of the sample in its dataset
  /// (n) word that the token is a piece of, -1 for special tokens.
  std::span<const int32_t> words = {};
  /// (n) head word of the token's word in the dependency tree, -1 for the root and special tokens.
  std::span<const int32_t> heads = {};
  /// (n) class of the token's word: equal for words of the same lemma, or form without case; -1 for
  /// none.
  std::span<const int32_t> classes = {};
  const TokenVectors* vectors = nullptr;  ///< a vector for every token id
  /// (k, 2) pairs of words that are linked beside those that `heads` links; empty: none.
  std::span<const int32_t> links = {};
};

/// What random edges are drawn for.
struct GraphKey {
  uint64_t seed = 0;
  uint64_t step = 0;
  int layer = 0;
  int head = 0;
};

/// What the rows of a pattern may depend on, beside the sequence's length, the seed, the layer and
/// the head: bits, so that graphs are kept for sequences that are equal in what matters.
enum Reads : unsigned {
  kReadsNothing = 0,
  kReadsIds = 1,
  kReadsSpecial = 2,
  kReadsSample = 4,
  kReadsTrees = 8,  ///< words, heads, links
  kReadsClasses = 16,
  kReadsVectors = 32,
  kReadsStep = 64,
  kReadsAll = 127,
};

/// Appends the columns of row i to the empty `out`.
using RowFunction = std::function<void(int64_t i, Runs& out)>;

/// A node of a pattern expression.
class PatternNode {
 public:
  virtual ~PatternNode() = default;
  /// The columns (0 .. n-1) that query i sees, as ascending runs appended to the empty `out`.
  /// `taken`: columns that the rest of the pattern already has (for `random`). A node that is
  /// whole_graph() has rows only once it is drawn.
  virtual void row(const SequenceView& sequence, int64_t i, const GraphKey& key, const Runs& taken,
                   Runs& out) const = 0;
  /// Text form, which parses back to the same pattern.
  virtual std::string text() const = 0;
  /// True if heads, and layers, get graphs of their own.
  virtual bool differs_by_head() const { return false; }
  /// When a union evaluates the node: first what does not look at `taken` (0), then null models of
  /// that (1), last what draws its edges beside all others (2).
  virtual int turn() const { return 0; }
  /// The parts of a union, so that a union of unions knows them all; none for other nodes.
  virtual std::span<const std::shared_ptr<const PatternNode>> union_parts() const { return {}; }
  /// The same node made ready for the rows of one sequence (a tree read, neighbours sorted), which
  /// it does not refer to afterwards; null if there is nothing to make ready. Throws DataError if
  /// the sequence lacks what the pattern needs.
  virtual std::shared_ptr<const PatternNode> bind(const SequenceView& /*sequence*/) const {
    return nullptr;
  }
  /// True if a row depends on other rows, so that all of them are made at once (null models).
  virtual bool whole_graph() const { return false; }
  /// The same node with all rows of one sequence and key made, so that it is whole_graph() no more;
  /// null if it is not whole_graph(). `taken`: that of every row; not referred to afterwards.
  virtual std::shared_ptr<const PatternNode> draw(const SequenceView& /*sequence*/,
                                                  const GraphKey& /*key*/,
                                                  const RowFunction& /*taken*/) const {
    return nullptr;
  }
  /// What rows depend on: Reads.
  virtual unsigned reads() const { return kReadsAll; }
};

/// A parsed pattern. Every query also sees itself, unless the text says `noself`.
class Pattern {
 public:
  Pattern(std::shared_ptr<const PatternNode> root, bool add_self);

  /// Columns of query i of a sequence: ascending runs.
  void row(const SequenceView& sequence, int64_t i, const GraphKey& key, Runs& out) const;
  std::string text() const;
  /// The same pattern made ready for the rows of one sequence: rows of a pattern that is not bound
  /// are the same, but may cost O(n) and more each. Throws DataError.
  Pattern bind(const SequenceView& sequence) const;
  /// A bound pattern made ready for the rows of one key: rows of a pattern that is not drawn are
  /// the same, but each costs all of the graph where there are null models in it. Cost: O(1), or
  /// that of the null models.
  Pattern draw(const SequenceView& sequence, const GraphKey& key) const;
  bool differs_by_head() const { return root_->differs_by_head(); }
  unsigned reads() const { return root_->reads(); }
  bool needs_vectors() const { return (reads() & kReadsVectors) != 0; }
  const PatternNode& root() const { return *root_; }

 private:
  std::shared_ptr<const PatternNode> root_;
  bool add_self_;
};

/// Reads a pattern:
///     pattern = part { ("|" | "-") part }      union, difference, from left to right
///     part    = share { "&" share }            intersection binds tighter
///     share   = atom [ "*" number ]            a keyed share of its edges, 0 to 1
///     atom    = "(" pattern ")" | name [":" argument { "," argument }]
///             | name "(" pattern ")"           a null model of it
/// Throws ConfigError that shows the text, points at the character and offers the nearest name.
Pattern parse_pattern(std::string_view text);

/// Name, syntax and one-line meaning of every pattern, for help texts.
struct PatternHelp {
  std::string name, syntax, meaning;
};
std::vector<PatternHelp> pattern_help();

}  // namespace filigree
