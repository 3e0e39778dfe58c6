// What a pattern file provides, and how it reads its arguments. Private to attention.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/pattern.h"

namespace filigree {

/// The arguments of one pattern in its text: "name:1,2,key=3".
class PatternArguments {
 public:
  struct Item {
    std::string key, value;  ///< key is empty for a plain argument
    size_t position;         ///< where it starts in the text
    size_t value_position() const { return key.empty() ? position : position + key.size() + 1; }
  };
  PatternArguments(std::string text, size_t position, std::vector<Item> items)
      : text_(std::move(text)), position_(position), items_(std::move(items)) {}

  size_t count() const { return items_.size(); }
  /// Whole number from `least` up in plain argument k; fails with `what` in the message otherwise.
  int64_t number(size_t k, std::string_view what, int64_t least);
  /// Takes "key=value" out; nothing if absent.
  std::optional<Item> take(std::string_view key);
  /// Takes "key=value" out and fails unless the value is one of `allowed`; the first if absent.
  std::string take_choice(std::string_view key, std::initializer_list<std::string_view> allowed);
  /// The whole number from `least` up that is the item's value.
  int64_t number_of(const Item& item, std::string_view what, int64_t least) const;
  /// Plain argument k.
  const Item& item(size_t k, std::string_view what) const;
  /// Fails unless there are between `least` and `most` plain arguments and no unused key.
  void expect_count(size_t least, size_t most) const;
  [[noreturn]] void fail(std::string_view what, size_t position) const;
  [[noreturn]] void fail(std::string_view what) const { fail(what, position_); }

 private:
  std::string text_;
  size_t position_;
  std::vector<Item> items_;
};

/// A kind of pattern: one function a file in attention/patterns/, one line in table.cpp.
struct PatternKind {
  PatternHelp help;
  std::function<std::shared_ptr<const PatternNode>(PatternArguments&)> make;
  /// Arguments that match:density may solve for, since a larger one never means fewer edges: "0" is
  /// the first plain one, anything else a key.
  std::vector<std::string> open = {};
  int64_t least = 0;  ///< smallest number there
  /// Makes "name(pattern)" of the pattern: a kind has either this or `make`.
  std::function<std::shared_ptr<const PatternNode>(std::shared_ptr<const PatternNode>)> of = {};
};

const std::vector<PatternKind>& pattern_kinds();

/// a | b, a & b, a - b.
std::shared_ptr<const PatternNode> combine(char symbol, std::shared_ptr<const PatternNode> left,
                                           std::shared_ptr<const PatternNode> right);
/// True for what combine() made.
bool is_operation(const PatternNode& node);
/// a*share: those edges of a whose keyed number in [0, 1) lies below the share (at most nine
/// digits). Shares of the same edges are nested. Defined in share.cpp.
std::shared_ptr<const PatternNode> keep_share(std::shared_ptr<const PatternNode> whole,
                                              double share);

/// A node whose row is one function of (n, i): most patterns.
template <class RowOf>
std::shared_ptr<const PatternNode> simple_pattern(std::string text, RowOf row_of) {
  class Simple final : public PatternNode {
   public:
    Simple(std::string text, RowOf row_of) : text_(std::move(text)), row_of_(row_of) {}
    void row(const SequenceView& sequence, int64_t i, const GraphKey&, const Runs&,
             Runs& out) const override {
      row_of_(sequence.length, i, out);
    }
    std::string text() const override { return text_; }
    unsigned reads() const override { return kReadsNothing; }

   private:
    std::string text_;
    RowOf row_of_;
  };
  return std::make_shared<Simple>(std::move(text), row_of);
}

}  // namespace filigree
