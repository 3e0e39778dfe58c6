#include "attention/patterns/null_model.h"

#include <algorithm>
#include <numeric>

#include "attention/patterns/neighbour_lists.h"
#include "core/error.h"

namespace filigree {

namespace {

using Node = std::shared_ptr<const PatternNode>;

/// What name(whole) is in any state.
class NullNode : public PatternNode {
 public:
  NullNode(std::string text, int turn, unsigned reads)
      : text_(std::move(text)), turn_(turn), reads_(reads) {}
  std::string text() const override { return text_; }
  bool differs_by_head() const override { return true; }
  int turn() const override { return turn_; }
  unsigned reads() const override { return reads_; }

 private:
  std::string text_;
  int turn_;
  unsigned reads_;
};

/// With all its rows.
class Drawn final : public NullNode {
 public:
  Drawn(const NullNode& of, NeighbourLists lists)
      : NullNode(of.text(), of.turn(), of.reads()), lists_(std::move(lists)) {}
  void row(const SequenceView&, int64_t i, const GraphKey&, const Runs&, Runs& out) const override {
    lists_.row(i, out);
  }

 private:
  NeighbourLists lists_;
};

/// The rows of a drawn graph: its edges and those that stayed.
NeighbourLists lists_of(const NullGraph& graph) {
  NeighbourLists lists;
  lists.list_of.resize(static_cast<size_t>(graph.length));
  std::iota(lists.list_of.begin(), lists.list_of.end(), 0);
  std::vector<int32_t> row;
  for (int64_t i = 0; i < graph.length; ++i) {
    row.assign(graph.columns.begin() + graph.offsets[static_cast<size_t>(i)],
               graph.columns.begin() + graph.offsets[static_cast<size_t>(i) + 1]);
    for (const Run& run : graph.fixed.row(i)) {
      for (int32_t j = run.lo; j < run.hi; ++j) row.push_back(j);
    }
    lists.add_list(row);
  }
  return lists;
}

template <class T>
uint64_t hash_of(const std::vector<T>& items) {
  return hash_name({reinterpret_cast<const char*>(items.data()), items.size() * sizeof(T)});
}

class NullModel final : public NullNode {
 public:
  NullModel(std::string name, Purpose purpose, Randomise randomise, Node whole)
      : NullNode(name + "(" + whole->text() + ")", std::max(1, whole->turn()), whole->reads()),
        name_(std::move(name)),
        purpose_(purpose),
        randomise_(randomise),
        whole_(std::move(whole)) {}

  bool whole_graph() const override { return true; }
  void row(const SequenceView&, int64_t, const GraphKey&, const Runs&, Runs&) const override {
    throw Error("pattern " + text(), "rows of a null model that is not drawn",
                "ask Pattern::row(), or Pattern::draw() first");
  }
  Node bind(const SequenceView& sequence) const override {
    Node whole = whole_->bind(sequence);
    if (!whole) return nullptr;
    return std::make_shared<NullModel>(name_, purpose_, randomise_, std::move(whole));
  }
  Node draw(const SequenceView& sequence, const GraphKey& key,
            const RowFunction& taken) const override {
    NullGraph graph = split(sequence, key, taken);
    randomise_(graph, mix_key({key.seed, static_cast<uint64_t>(purpose_),
                               static_cast<uint64_t>(key.layer), static_cast<uint64_t>(key.head),
                               hash_of(graph.offsets), hash_of(graph.columns)}));
    return std::make_shared<Drawn>(*this, lists_of(graph));
  }

 private:
  NullGraph split(const SequenceView& sequence, const GraphKey& key,
                  const RowFunction& taken) const {
    const Node drawn = whole_->draw(sequence, key, taken);
    const PatternNode& whole = drawn ? *drawn : *whole_;
    NullGraph graph;
    graph.length = sequence.length;
    Runs beside, self, closed, row, part;
    for (int64_t i = 0; i < sequence.length; ++i) {
      beside.clear();
      taken(i, beside);
      row.clear();
      whole.row(sequence, i, key, beside, row);
      self.assign(1, {static_cast<int32_t>(i), static_cast<int32_t>(i) + 1});
      unite(beside, self, closed);
      graph.closed.add_row(closed);
      intersect(row, closed, part);
      graph.fixed.add_row(part);
      subtract(row, closed, part);
      for (const Run& run : part) {
        for (int32_t j = run.lo; j < run.hi; ++j) graph.columns.push_back(j);
      }
      graph.offsets.push_back(graph.edges());
    }
    return graph;
  }

  std::string name_;
  Purpose purpose_;
  Randomise randomise_;
  Node whole_;
};

}  // namespace

Node null_model(std::string name, Purpose purpose, Randomise randomise, Node whole) {
  return std::make_shared<NullModel>(std::move(name), purpose, randomise, std::move(whole));
}

}  // namespace filigree
