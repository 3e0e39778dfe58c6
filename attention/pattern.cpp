#include "attention/pattern.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attention/patterns/kind.h"
#include "core/error.h"

namespace filigree {

namespace {

using Node = std::shared_ptr<const PatternNode>;

bool is_set_operation(const PatternNode& node);

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
      return is_set_operation(*node) ? "(" + node->text() + ")" : node->text();
    };
    const std::string left = symbol_ == '&' ? wrapped(left_) : left_->text();
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
  bool needs_vectors() const override { return left_->needs_vectors() || right_->needs_vectors(); }

 private:
  char symbol_;
  Node left_, right_;
  std::vector<Node> parts_;  // of a union, nested ones taken apart, in order of evaluation
};

bool is_set_operation(const PatternNode& node) {
  return dynamic_cast<const Operation*>(&node) != nullptr;
}

[[noreturn]] void throw_at(std::string_view text, size_t position, std::string_view what,
                           std::string_view hint = {}) {
  throw ConfigError("pattern", fmt::format("{}\n  {}\n  {:>{}}", what, text, "^", position + 1),
                    hint);
}

/// Recursive descent over the grammar of parse_pattern().
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Pattern parse() {
    Node root = expression(0);
    skip_blanks();
    if (at_ < text_.size()) throw_at(text_, at_, "unexpected character");
    if (!root) throw_at(text_, 0, "the pattern has no part");
    return Pattern(root, add_self_);
  }

 private:
  static constexpr int kMaxDepth = 200;

  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char symbol) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != symbol) return false;
    ++at_;
    return true;
  }

  Node expression(int depth) {
    Node left = intersection(depth);
    while (true) {
      const bool united = take('|');
      if (!united && !take('-')) return left;
      const size_t position = at_;
      Node right = intersection(depth);
      if (!right) continue;  // noself
      if (!left && !united) throw_at(text_, position, "nothing to take this from");
      left = left ? std::make_shared<Operation>(united ? '|' : '-', left, right) : right;
    }
  }

  Node intersection(int depth) {
    Node left = atom(depth);
    while (take('&')) {
      const size_t position = at_;
      Node right = atom(depth);
      if (!left || !right)
        throw_at(text_, position, "noself is not a set; write it as \"| noself\"");
      left = std::make_shared<Operation>('&', left, right);
    }
    return left;
  }

  Node atom(int depth) {
    if (depth > kMaxDepth) throw_at(text_, at_, "too many parentheses");
    if (take('(')) {
      const size_t open = at_ - 1;
      Node inner = expression(depth + 1);
      if (!take(')')) throw_at(text_, open, "this parenthesis is not closed");
      return inner;
    }
    skip_blanks();
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      ++at_;
    }
    const std::string name(text_.substr(start, at_ - start));
    if (name.empty()) throw_at(text_, start, "expected the name of a pattern");
    if (name == "noself") {
      add_self_ = false;
      return nullptr;
    }
    for (const PatternKind& kind : pattern_kinds()) {
      if (kind.help.name != name) continue;
      PatternArguments arguments(std::string(text_), start, items());
      return kind.make(arguments);
    }
    std::vector<std::string> names{"noself"};
    for (const PatternKind& kind : pattern_kinds()) names.push_back(kind.help.name);
    const std::string nearest = nearest_name(name, names);
    throw_at(text_, start, fmt::format("there is no pattern \"{}\"", name),
             nearest.empty() ? fmt::format("patterns are {}", fmt::join(names, ", "))
                             : fmt::format("the nearest name is \"{}\"", nearest));
  }

  std::vector<PatternArguments::Item> items() {
    std::vector<PatternArguments::Item> items;
    if (!take(':')) return items;
    do {
      skip_blanks();
      const size_t start = at_;
      while (at_ < text_.size() &&
             std::string_view(",|&-() ").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
      const std::string item(text_.substr(start, at_ - start));
      if (item.empty()) throw_at(text_, start, "expected an argument");
      const size_t equals = item.find('=');
      if (equals == std::string::npos) {
        items.push_back({"", item, start});
      } else {
        items.push_back({item.substr(0, equals), item.substr(equals + 1), start});
      }
    } while (take(','));
    return items;
  }

  std::string_view text_;
  size_t at_ = 0;
  bool add_self_ = true;
};

}  // namespace

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

Pattern parse_pattern(std::string_view text) { return Parser(text).parse(); }

int64_t PatternArguments::number_of(const Item& item, std::string_view what, int64_t least) const {
  int64_t number = 0;
  const std::string& value = item.value;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (code != std::errc() || end != value.data() + value.size() || number < least ||
      number > INT32_MAX) {
    fail(fmt::format("{} is a whole number from {} up, got \"{}\"", what, least, value),
         item.value_position());
  }
  return number;
}

int64_t PatternArguments::number(size_t k, std::string_view what, int64_t least) {
  return number_of(item(k, what), what, least);
}

std::optional<PatternArguments::Item> PatternArguments::take(std::string_view key) {
  for (size_t k = 0; k < items_.size(); ++k) {
    if (items_[k].key != key) continue;
    Item item = items_[k];
    if (item.value.empty()) fail(fmt::format("{}= has no value", key), item.position);
    items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(k));
    return item;
  }
  return std::nullopt;
}

std::string PatternArguments::take_choice(std::string_view key,
                                          std::initializer_list<std::string_view> allowed) {
  const std::optional<Item> item = take(key);
  if (!item) return std::string(*allowed.begin());
  if (std::find(allowed.begin(), allowed.end(), item->value) == allowed.end()) {
    fail(fmt::format("{} is one of {}, got \"{}\"", key, fmt::join(allowed, ", "), item->value),
         item->value_position());
  }
  return item->value;
}

const PatternArguments::Item& PatternArguments::item(size_t k, std::string_view what) const {
  if (k >= items_.size()) fail(fmt::format("lacks its {}", what));
  if (!items_[k].key.empty()) {
    fail(fmt::format("has no option \"{}\"", items_[k].key), items_[k].position);
  }
  return items_[k];
}

void PatternArguments::expect_count(size_t least, size_t most) const {
  for (const Item& item : items_) {
    if (!item.key.empty()) fail(fmt::format("has no option \"{}\"", item.key), item.position);
  }
  if (items_.size() < least || items_.size() > most) {
    fail(least == most
             ? fmt::format("takes {} arguments, got {}", least, items_.size())
             : fmt::format("takes {} to {} arguments, got {}", least, most, items_.size()));
  }
}

void PatternArguments::fail(std::string_view what, size_t position) const {
  throw_at(text_, position, what);
}

}  // namespace filigree
