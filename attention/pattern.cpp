#include "attention/pattern.h"

#include <algorithm>

#include "attention/patterns/kind.h"

namespace filigree {

namespace {

using Node = std::shared_ptr<const PatternNode>;

/// Row i of a union, whose parts are in order of evaluation: each knows those before it.
void row_of_union(std::span<const Node> parts, const SequenceView& sequence, int64_t i,
                  const GraphKey& key, const Runs& taken, Runs& out) {
  const bool asked = !parts.empty() && parts.back()->turn() > 0;
  ScratchRuns borrowed_part, borrowed_all, borrowed_have, borrowed_merged;
  Runs &row = *borrowed_part, &all = *borrowed_all;
  Runs &have = *borrowed_have, &merged = *borrowed_merged;
  if (asked) have = taken;  // taken and all parts so far, kept if a part asks for it
  for (const Node& part : parts) {
    row.clear();
    part->row(sequence, i, key, have, row);
    unite(all, row, merged);
    all.swap(merged);
    if (!asked) continue;
    unite(have, row, merged);
    have.swap(merged);
  }
  out.swap(all);
}

/// a | b | .. - c, a & b: the algebra on rows.
class Operation final : public PatternNode {
 public:
  Operation(char symbol, Node left, Node right)
      : symbol_(symbol),
        left_(std::move(left)),
        right_(std::move(right)),
        whole_graph_(left_->whole_graph() || right_->whole_graph()) {
    if (symbol_ != '|') return;
    for (const Node& side : {left_, right_}) {
      const auto inner = side->union_parts();
      if (inner.empty()) {
        parts_.push_back(side);
      } else {
        parts_.insert(parts_.end(), inner.begin(), inner.end());
      }
    }
    // What avoids the others comes last, wherever in the text it stands.
    std::stable_sort(parts_.begin(), parts_.end(),
                     [](const Node& a, const Node& b) { return a->turn() < b->turn(); });
  }
  /// A union whose parts were drawn, in their order of evaluation.
  Operation(Node left, Node right, std::vector<Node> drawn)
      : symbol_('|'),
        left_(std::move(left)),
        right_(std::move(right)),
        whole_graph_(false),
        parts_(std::move(drawn)) {}

  void row(const SequenceView& sequence, int64_t i, const GraphKey& key, const Runs& taken,
           Runs& out) const override {
    if (symbol_ == '|') {
      row_of_union(parts_, sequence, i, key, taken, out);
      return;
    }
    ScratchRuns borrowed_first, borrowed_second;
    Runs &first = *borrowed_first, &second = *borrowed_second;
    left_->row(sequence, i, key, taken, first);
    right_->row(sequence, i, key, taken, second);
    symbol_ == '&' ? intersect(first, second, out) : subtract(first, second, out);
  }

  std::string text() const override {
    // Left-associative: a right operand that is itself an operation needs its parentheses.
    const auto wrapped = [](const Node& node) {
      return is_operation(*node) ? "(" + node->text() + ")" : node->text();
    };
    const auto* operation = dynamic_cast<const Operation*>(left_.get());
    const bool plain = symbol_ != '&' || !operation || operation->symbol_ == '&';
    const std::string left = plain ? left_->text() : wrapped(left_);
    return left + symbol_ + wrapped(right_);
  }
  bool differs_by_head() const override {
    return left_->differs_by_head() || right_->differs_by_head();
  }
  int turn() const override { return std::max(left_->turn(), right_->turn()); }
  bool whole_graph() const override { return whole_graph_; }
  Node draw(const SequenceView& sequence, const GraphKey& key,
            const RowFunction& taken) const override {
    if (!whole_graph_) return nullptr;
    if (symbol_ == '|') return draw_union(sequence, key, taken);
    Node left = left_->draw(sequence, key, taken), right = right_->draw(sequence, key, taken);
    return std::make_shared<Operation>(symbol_, left ? std::move(left) : left_,
                                       right ? std::move(right) : right_);
  }
  std::span<const Node> union_parts() const override { return parts_; }
  Node bind(const SequenceView& sequence) const override {
    Node left = left_->bind(sequence), right = right_->bind(sequence);
    if (!left && !right) return nullptr;
    return std::make_shared<Operation>(symbol_, left ? std::move(left) : left_,
                                       right ? std::move(right) : right_);
  }
  unsigned reads() const override { return left_->reads() | right_->reads(); }

 private:
  Node draw_union(const SequenceView& sequence, const GraphKey& key,
                  const RowFunction& taken) const {
    std::vector<Node> drawn;
    const RowFunction have = [&](int64_t i, Runs& out) {  // taken, and the parts so far
      ScratchRuns given, parts;
      taken(i, *given);
      row_of_union(drawn, sequence, i, key, *given, *parts);
      unite(*given, *parts, out);
    };
    for (const Node& part : parts_) {
      Node made = part->draw(sequence, key, have);
      drawn.push_back(made ? std::move(made) : part);
    }
    return std::make_shared<Operation>(left_, right_, std::move(drawn));
  }

  char symbol_;
  Node left_, right_;
  bool whole_graph_;
  std::vector<Node> parts_;  // of a union, nested ones taken apart, in order of evaluation
};

}  // namespace

Node combine(char symbol, Node left, Node right) {
  return std::make_shared<Operation>(symbol, std::move(left), std::move(right));
}

bool is_operation(const PatternNode& node) {
  return dynamic_cast<const Operation*>(&node) != nullptr;
}

Pattern::Pattern(std::shared_ptr<const PatternNode> root, bool add_self)
    : root_(std::move(root)), add_self_(add_self) {}

void Pattern::row(const SequenceView& sequence, int64_t i, const GraphKey& key, Runs& out) const {
  if (root_->whole_graph()) {
    bind(sequence).draw(sequence, key).row(sequence, i, key, out);
    return;
  }
  ScratchRuns self, others;
  if (add_self_) append_run(*self, i, i + 1);
  root_->row(sequence, i, key, *self, *others);
  unite(*self, *others, out);
}

Pattern Pattern::bind(const SequenceView& sequence) const {
  Node bound = root_->bind(sequence);
  return Pattern(bound ? std::move(bound) : root_, add_self_);
}

Pattern Pattern::draw(const SequenceView& sequence, const GraphKey& key) const {
  Node drawn = root_->draw(sequence, key, [this](int64_t i, Runs& out) {
    if (add_self_) append_run(out, i, i + 1);
  });
  return Pattern(drawn ? std::move(drawn) : root_, add_self_);
}

std::string Pattern::text() const { return root_->text() + (add_self_ ? "" : "|noself"); }

}  // namespace filigree
