#include "attention/selection.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fmt/format.h>

namespace filigree {

namespace {

class SelectionReader {
 public:
  SelectionReader(std::string_view text, int count,
                  const std::function<void(const std::string&)>& fail)
      : text_(text), count_(count), fail_(fail), chosen_(static_cast<size_t>(count), false) {}

  std::vector<bool> read() {
    const size_t colon = text_.find(':');
    const std::string_view word = text_.substr(0, colon);
    if (colon != std::string_view::npos) {
      const int64_t k = number(text_.substr(colon + 1));
      if (word == "first") {
        choose(0, k);
      } else if (word == "last") {
        choose(count_ - k, count_);
      } else if (word == "only") {
        choose(k, k + 1);
      } else {
        fail_(fmt::format("expected all, none, first:k, last:k, only:l or a list, got \"{}\"",
                          text_));
      }
    } else if (word == "all") {
      choose(0, count_);
    } else if (word != "none") {
      list();
    }
    return chosen_;
  }

 private:
  int64_t number(std::string_view digits) const {
    int value = -1;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code != std::errc() || end != digits.data() + digits.size() || value < 0) {
      fail_(fmt::format("expected a whole number, got \"{}\" in \"{}\"", digits, text_));
    }
    return value;
  }

  void choose(int64_t first, int64_t last) {
    if (last > count_ || first < 0) {
      fail_(fmt::format("\"{}\" asks for more than the {} there are", text_, count_));
    }
    std::fill(chosen_.begin() + first, chosen_.begin() + last, true);
  }

  void list() {
    for (size_t start = 0; start <= text_.size();) {
      const size_t comma = std::min(text_.find(',', start), text_.size());
      const std::string_view item = text_.substr(start, comma - start);
      const size_t dash = std::min(item.find('-'), item.size());
      const int64_t first = number(item.substr(0, dash));
      const int64_t last = dash < item.size() ? number(item.substr(dash + 1)) : first;
      if (last < first) fail_(fmt::format("\"{}\" goes backwards in \"{}\"", item, text_));
      choose(first, last + 1);
      start = comma + 1;
    }
  }

  std::string_view text_;
  int64_t count_;
  const std::function<void(const std::string&)>& fail_;
  std::vector<bool> chosen_;
};

}  // namespace

std::vector<bool> selection(std::string_view text, int count,
                            const std::function<void(const std::string&)>& fail) {
  return SelectionReader(text, count, fail).read();
}

}  // namespace filigree
