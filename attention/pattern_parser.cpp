#include "attention/pattern_parser.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attention/patterns/kind.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr size_t kShown = 60;  // bytes of a long text on either side of an error

/// True for the second and later bytes of a character in UTF-8.
bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

void throw_at(std::string_view text, size_t position, std::string_view what,
              std::string_view hint) {
  size_t first = position > kShown ? position - kShown : 0;
  size_t last = std::min(text.size(), position + kShown);
  while (first > 0 && continues(text[first])) --first;
  while (last < text.size() && continues(text[last])) ++last;
  const std::string before = first > 0 ? ".." : "", behind = last < text.size() ? ".." : "";
  const std::string_view until = text.substr(first, position - first);
  const auto column = static_cast<size_t>(std::ranges::count_if(
                          until, [](char byte) { return !continues(byte); })) +
                      before.size();
  throw ConfigError("pattern",
                    fmt::format("{}\n  {}{}{}\n  {:>{}}", what, before,
                                text.substr(first, last - first), behind, "^", column + 1),
                    hint);
}

namespace {

using Node = std::shared_ptr<const PatternNode>;

/// Recursive descent over the grammar of parse_pattern().
class Parser {
 public:
  /// Reads [first, last) of the text, which errors show whole. `open`: where a number may be "?".
  Parser(std::string_view text, size_t first, size_t last, std::optional<OpenNumber>* open)
      : shown_(text), text_(text.substr(0, last)), at_(first), open_(open) {}

  Pattern parse() {
    const size_t first = at_;
    Node root = expression(0);
    skip_blanks();
    if (at_ < text_.size()) fail(at_, "unexpected character");
    if (!root) fail(first, "the pattern has no part");
    return Pattern(root, add_self_);
  }

 private:
  static constexpr int kMaxDepth = 200, kMaxParts = 1000;

  [[noreturn]] void fail(size_t position, std::string_view what, std::string_view hint = {}) const {
    throw_at(shown_, position, what, hint);
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
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
      if ((!left || !right) && !united)
        fail(position, "noself is not a set; write it as \"| noself\"");
      if (!right) continue;  // noself
      left = left ? combine(united ? '|' : '-', left, right) : right;
    }
  }

  Node intersection(int depth) {
    Node left = part(depth);
    while (take('&')) {
      const size_t position = at_;
      Node right = part(depth);
      if (!left || !right) fail(position, "noself is not a set; write it as \"| noself\"");
      left = combine('&', left, right);
    }
    return left;
  }

  /// An atom, or a share of one: "random:3*0.25".
  Node part(int depth) {
    Node whole = atom(depth);
    const size_t star = at_;
    if (!take('*')) return whole;
    if (!whole) fail(star, "noself is not a set");
    skip_blanks();
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '.')) {
      ++at_;
    }
    const std::string_view digits = text_.substr(start, at_ - start);
    double share = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), share);
    if (code != std::errc() || end != digits.data() + digits.size() || share > 1) {
      fail(start, fmt::format("a share is a number from 0 to 1, got \"{}\"", digits));
    }
    return keep_share(std::move(whole), share);
  }

  Node atom(int depth) {
    if (depth > kMaxDepth) fail(at_, "too many parentheses");
    if (take('(')) {
      const size_t open = at_ - 1;
      Node inner = expression(depth + 1);
      if (!take(')')) fail(open, "this parenthesis is not closed");
      return inner;
    }
    skip_blanks();
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) {
      ++at_;
    }
    const std::string name(text_.substr(start, at_ - start));
    if (name.empty()) fail(start, "expected the name of a pattern");
    if (++parts_ > kMaxParts) fail(start, fmt::format("more than {} parts", kMaxParts));
    if (name == "noself") {
      add_self_ = false;
      return nullptr;
    }
    for (const PatternKind& kind : pattern_kinds()) {
      if (kind.help.name != name) continue;
      if (kind.of) return null_model(kind, depth);
      PatternArguments arguments(std::string(shown_), start, items(kind, start));
      Node node = kind.make(arguments);
      if (open_here(start)) (*open_)->drawn = node->differs_by_head();
      return node;
    }
    std::vector<std::string> names{"noself"};
    for (const PatternKind& kind : pattern_kinds()) names.push_back(kind.help.name);
    const std::string nearest = nearest_name(name, names);
    fail(start, fmt::format("there is no pattern \"{}\"", name),
         nearest.empty() ? fmt::format("patterns are {}", fmt::join(names, ", "))
                         : fmt::format("the nearest name is \"{}\"", nearest));
  }

  /// The rest of "name(pattern)" behind the name.
  Node null_model(const PatternKind& kind, int depth) {
    const bool opened = take('(');
    if (!opened) {
      fail(at_, fmt::format("{} takes a pattern in parentheses", kind.help.name),
           fmt::format("write it as {}(neighbour:3)", kind.help.name));
    }
    const size_t open = at_ - 1;
    Node inner = expression(depth + 1);
    if (!take(')')) fail(open, "this parenthesis is not closed");
    if (!inner) fail(open + 1, "noself is not a set");
    return kind.of(std::move(inner));
  }

  std::vector<PatternArguments::Item> items(const PatternKind& kind, size_t part) {
    std::vector<PatternArguments::Item> items;
    if (!take(':')) return items;
    do {
      skip_blanks();
      const size_t start = at_;
      while (at_ < text_.size() &&
             std::string_view(",|&-()* \t").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
      const std::string item(text_.substr(start, at_ - start));
      const size_t equals = item.find('=');
      if (item.empty() || equals == 0) fail(start, "expected an argument");
      if (equals == std::string::npos) {
        items.push_back({"", item, start});
      } else {
        items.push_back({item.substr(0, equals), item.substr(equals + 1), start});
      }
      if (items.back().value == "?") take_open(kind, part, items);
      if (open_here(part)) (*open_)->part_end = at_;
    } while (take(','));
    return items;
  }

  bool open_here(size_t part) const { return open_ && *open_ && (*open_)->part == part; }

  /// The last item's value is "?": remembers where, and lets a number stand for it.
  void take_open(const PatternKind& kind, size_t part, std::vector<PatternArguments::Item>& items) {
    PatternArguments::Item& item = items.back();
    const size_t mark = item.value_position();
    if (!open_) {
      fail(mark, "an open number, but no density that it is to give",
           "write it with its density: \"neighbour:? match:density=0.2\"");
    }
    if (*open_) fail(mark, "a second open number");
    const auto plain = std::ranges::count_if(items, [](const auto& i) { return i.key.empty(); });
    const std::string name = item.key.empty() ? std::to_string(plain - 1) : item.key;
    if (std::find(kind.open.begin(), kind.open.end(), name) == kind.open.end()) {
      fail(mark, fmt::format("this number of {} cannot be left open", kind.help.name),
           "a number can be open that gives more edges the larger it is; write shorthands out");
    }
    *open_ = OpenNumber{part, mark, at_, kind.least, false};
    item.value = std::to_string(std::max<int64_t>(kind.least, 1));
  }

  std::string_view shown_, text_;  // text_: shown_ up to the end of the pattern
  size_t at_;
  std::optional<OpenNumber>* open_;
  bool add_self_ = true;
  int parts_ = 0;
};

}  // namespace

Pattern parse_pattern(std::string_view text) { return parse_pattern(text, 0, text.size()); }

Pattern parse_pattern(std::string_view text, size_t first, size_t last) {
  return Parser(text, first, last, nullptr).parse();
}

Pattern parse_open_pattern(std::string_view text, size_t first, size_t last, OpenNumber& open) {
  std::optional<OpenNumber> found;
  Pattern pattern = Parser(text, first, last, &found).parse();
  if (!found) {
    throw_at(text, first, "no number is open for match:density to solve",
             "write \"?\" for it: \"neighbour:? match:density=0.2\"");
  }
  open = *found;
  return pattern;
}

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
