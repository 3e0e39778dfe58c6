// global: chosen tokens that see everything and are seen by everything.
#include <algorithm>
#include <fmt/format.h>

#include "attention/patterns/kind.h"

namespace filigree {

namespace {

enum class Choice { cls, special, first, every };

class Global final : public PatternNode {
 public:
  Global(Choice choice, int64_t k, bool rows, bool columns)
      : choice_(choice), k_(k), rows_(rows), columns_(columns) {}

  void row(const SequenceView& sequence, int64_t i, const GraphKey&, const Runs&,
           Runs& out) const override {
    if (rows_ && chosen(sequence, i)) {
      append_run(out, 0, sequence.length);
      return;
    }
    if (!columns_) return;
    switch (choice_) {
      case Choice::cls:
        append_run(out, 0, 1);
        break;
      case Choice::first:
        append_run(out, 0, std::min(k_, sequence.length));
        break;
      case Choice::every:
        for (int64_t j = 0; j < sequence.length; j += k_) append_run(out, j, j + 1);
        break;
      case Choice::special:
        for (int64_t j = 0; j < sequence.length; ++j) {
          if (chosen(sequence, j)) append_run(out, j, j + 1);
        }
        break;
    }
  }

  unsigned reads() const override {
    return choice_ == Choice::special ? kReadsSpecial : kReadsNothing;
  }
  std::string text() const override {
    std::string text = "global:";
    switch (choice_) {
      case Choice::cls:
        text += "cls";
        break;
      case Choice::special:
        text += "special";
        break;
      case Choice::first:
        text += fmt::format("first={}", k_);
        break;
      case Choice::every:
        text += fmt::format("every={}", k_);
        break;
    }
    if (!columns_) text += ",rows";
    if (!rows_) text += ",cols";
    return text;
  }

 private:
  bool chosen(const SequenceView& sequence, int64_t i) const {
    switch (choice_) {
      case Choice::cls:
        return i == 0;
      case Choice::first:
        return i < k_;
      case Choice::every:
        return i % k_ == 0;
      case Choice::special:
        break;
    }
    return sequence.special.empty() ? i == 0 : sequence.special[static_cast<size_t>(i)] != 0;
  }

  Choice choice_;
  int64_t k_;
  bool rows_, columns_;
};

std::shared_ptr<const PatternNode> make_global(PatternArguments& arguments) {
  const auto first = arguments.take("first"), every = arguments.take("every");
  Choice choice = Choice::cls;
  int64_t k = 1;
  size_t next = 0;
  if (first && every) {
    arguments.fail("first and every exclude each other",
                   std::max(first->position, every->position));
  }
  if (first) {
    choice = Choice::first;
    k = arguments.number_of(*first, "first", 0);
  } else if (every) {
    choice = Choice::every;
    k = arguments.number_of(*every, "every", 1);
  } else {
    const auto& item = arguments.item(next++, "cls, special, first=k or every=k");
    if (item.value == "special") {
      choice = Choice::special;
    } else if (item.value != "cls") {
      arguments.fail("global takes cls, special, first=k or every=k, got \"" + item.value + "\"",
                     item.position);
    }
  }
  arguments.expect_count(next, next + 1);
  std::string part = "both";
  if (arguments.count() > next) {
    const auto& item = arguments.item(next, "rows, cols or both");
    part = item.value;
    if (part != "both" && part != "rows" && part != "cols") {
      arguments.fail("expected rows, cols or both, got \"" + part + "\"", item.position);
    }
  }
  return std::make_shared<Global>(choice, k, part != "cols", part != "rows");
}

}  // namespace

PatternKind global_pattern() {
  return {{"global", "global:cls|special|first=k|every=k [,rows|cols|both]",
           "chosen tokens see every token (rows), every token sees them (cols), or both"},
          make_global,
          {"first"}};
}

}  // namespace filigree
