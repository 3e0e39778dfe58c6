// A pattern bound to one sequence whose rows are held as lists: syntax, lexical. Private to
// attention.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention/pattern.h"

namespace filigree {

/// Lists of columns, and for every token which list is its row (-1: none). Memory O(n + columns).
struct NeighbourLists {
  std::vector<int32_t> list_of;     ///< (n)
  std::vector<int64_t> offsets{0};  ///< (lists + 1)
  std::vector<Run> runs;            ///< ascending in a list

  /// Ends the list that `columns` is; sorts these.
  void add_list(std::span<int32_t> columns) {
    std::sort(columns.begin(), columns.end());
    const size_t first = runs.size();
    for (const int32_t j : columns) {
      if (runs.size() > first && j <= runs.back().hi) {
        runs.back().hi = std::max(runs.back().hi, j + 1);
      } else {
        runs.push_back({j, j + 1});
      }
    }
    offsets.push_back(static_cast<int64_t>(runs.size()));
  }
  void row(int64_t i, Runs& out) const {
    const int32_t list = list_of[static_cast<size_t>(i)];
    if (list < 0) return;
    out.insert(out.end(), runs.begin() + offsets[static_cast<size_t>(list)],
               runs.begin() + offsets[static_cast<size_t>(list) + 1]);
  }
};

/// A kind of pattern whose rows are lists(sequence), a function that throws DataError for lack of
/// data. reads: what it looks at.
template <class ListsOf>
std::shared_ptr<const PatternNode> list_pattern(std::string text, unsigned reads,
                                                ListsOf lists_of) {
  class Bound final : public PatternNode {
   public:
    Bound(std::string text, unsigned reads, NeighbourLists lists)
        : text_(std::move(text)), reads_(reads), lists_(std::move(lists)) {}
    void row(const SequenceView&, int64_t i, const GraphKey&, const Runs&,
             Runs& out) const override {
      lists_.row(i, out);
    }
    std::string text() const override { return text_; }
    unsigned reads() const override { return reads_; }

   private:
    std::string text_;
    unsigned reads_;
    NeighbourLists lists_;
  };
  class Free final : public PatternNode {
   public:
    Free(std::string text, unsigned reads, ListsOf lists_of)
        : text_(std::move(text)), reads_(reads), lists_of_(std::move(lists_of)) {}
    void row(const SequenceView& sequence, int64_t i, const GraphKey&, const Runs&,
             Runs& out) const override {
      lists_of_(sequence).row(i, out);
    }
    std::shared_ptr<const PatternNode> bind(const SequenceView& sequence) const override {
      return std::make_shared<Bound>(text_, reads_, lists_of_(sequence));
    }
    std::string text() const override { return text_; }
    unsigned reads() const override { return reads_; }

   private:
    std::string text_;
    unsigned reads_;
    ListsOf lists_of_;
  };
  return std::make_shared<Free>(std::move(text), reads, std::move(lists_of));
}

/// Throws DataError unless the span has an entry for every token.
void expect_data(const SequenceView& sequence, size_t entries, std::string_view pattern,
                 std::string_view what, std::string_view hint);

}  // namespace filigree
