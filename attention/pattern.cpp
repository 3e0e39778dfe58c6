#include "attention/pattern.h"

#include <algorithm>

#include "attention/patterns/kind.h"

namespace filigree {

namespace {

using Node = std::shared_ptr<const PatternNode>;

/// a | b | .. - c, a & b: the algebra on rows.
class Operation final : public PatternNode {
 public:
  Operation(char symbol, Node left, Node right)
      : symbol_(symbol), left_(std::move(left)), right_(std::move(right)) {
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
    std::stable_partition(parts_.begin(), parts_.end(),
                          [](const Node& part) { return !part->avoids_taken(); });
  }

  void row(const SequenceView& sequence, int64_t i, const GraphKey& key, const Runs& taken,
           Runs& out) const override {
    ScratchRuns borrowed_first, borrowed_second;
    Runs &first = *borrowed_first, &second = *borrowed_second;
    if (symbol_ == '|') {
      const bool asked = parts_.back()->avoids_taken();
      ScratchRuns borrowed_have, borrowed_merged;
      Runs &have = *borrowed_have, &merged = *borrowed_merged;
      if (asked) have = taken;  // taken and all parts so far, kept if a part asks for it
      for (const Node& part : parts_) {
        first.clear();
        part->row(sequence, i, key, have, first);
        unite(second, first, merged);
        second.swap(merged);
        if (!asked) continue;
        unite(have, first, merged);
        have.swap(merged);
      }
      out.swap(second);
      return;
    }
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
  bool avoids_taken() const override { return left_->avoids_taken() || right_->avoids_taken(); }
  std::span<const Node> union_parts() const override { return parts_; }
  Node bind(const SequenceView& sequence) const override {
    Node left = left_->bind(sequence), right = right_->bind(sequence);
    if (!left && !right) return nullptr;
    return std::make_shared<Operation>(symbol_, left ? std::move(left) : left_,
                                       right ? std::move(right) : right_);
  }
  unsigned reads() const override { return left_->reads() | right_->reads(); }

 private:
  char symbol_;
  Node left_, right_;
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
  ScratchRuns self, others;
  if (add_self_) append_run(*self, i, i + 1);
  root_->row(sequence, i, key, *self, *others);
  unite(*self, *others, out);
}

Pattern Pattern::bind(const SequenceView& sequence) const {
  Node bound = root_->bind(sequence);
  return Pattern(bound ? std::move(bound) : root_, add_self_);
}

std::string Pattern::text() const { return root_->text() + (add_self_ ? "" : "|noself"); }

}  // namespace filigree
