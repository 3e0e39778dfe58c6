#include "tasks/syntax/linkage.h"

namespace filigree {

namespace {

constexpr size_t kHead = 5;  // numbers before the words

/// Indices [first, last) of the words of a text that overlap a place.
struct Range {
  int32_t first = 0, last = 0;
};

/// For every place, ascending, the words that it overlaps.
std::vector<Range> overlaps(std::span<const ByteSpan> words, std::span<const ByteSpan> places,
                            int64_t shift) {
  std::vector<Range> ranges;
  size_t first = 0;
  for (const ByteSpan& place : places) {
    while (first < words.size() && words[first].end <= place.begin + shift) ++first;
    size_t last = first;
    while (last < words.size() && words[last].begin < place.end + shift) ++last;
    ranges.push_back({static_cast<int32_t>(first), static_cast<int32_t>(last)});
  }
  return ranges;
}

/// What the parser takes for one word is up to so many words of ours that are all joined; more (an
/// address) form a chain, and the first carries the parser's links.
constexpr int32_t kMostJoined = 8;

bool is_long(const Range& range) { return range.last - range.first > kMostJoined; }

/// The words that carry the links of a range.
Range carriers(const Range& range) {
  return is_long(range) ? Range{range.first, range.first + 1} : range;
}

/// Joins the words of one range with those of another, or a range within itself.
void join(const Range& a, const Range& b, std::vector<WordLink>& links) {
  for (int32_t i = a.first; i < a.last; ++i) {
    for (int32_t j = b.first; j < b.last; ++j) {
      if (i < j) links.push_back({i, j});
      if (j < i && a.first != b.first) links.push_back({j, i});
    }
  }
}

}  // namespace

std::vector<int32_t> pack(const Linkage& linkage) {
  std::vector<int32_t> numbers{static_cast<int32_t>(linkage.outcome), linkage.limit_ms,
                               linkage.root, static_cast<int32_t>(linkage.words.size()),
                               static_cast<int32_t>(linkage.links.size())};
  for (const ByteSpan& word : linkage.words) {
    numbers.push_back(static_cast<int32_t>(word.begin));
    numbers.push_back(static_cast<int32_t>(word.end));
  }
  for (const WordLink& link : linkage.links) {
    numbers.push_back(link.a);
    numbers.push_back(link.b);
  }
  return numbers;
}

bool unpack(std::span<const int32_t> numbers, int64_t sentence_bytes, Linkage& linkage) {
  if (numbers.size() < kHead) return false;
  const int64_t words = numbers[3], links = numbers[4];
  if (words < 0 || links < 0 || static_cast<int64_t>(numbers.size() - kHead) != 2 * (words + links))
    return false;
  if (numbers[0] < 0 || numbers[0] > static_cast<int32_t>(ParseOutcome::refused)) return false;
  if (numbers[1] < 0 || numbers[2] < -1 || numbers[2] >= words) return false;
  linkage = {static_cast<ParseOutcome>(numbers[0]), numbers[1], numbers[2], {}, {}};
  size_t at = kHead;
  for (int64_t w = 0, last = 0; w < words; ++w, at += 2) {
    const ByteSpan word{numbers[at], numbers[at + 1]};
    if (word.begin < last || word.end <= word.begin || word.end > sentence_bytes) return false;
    last = word.end;
    linkage.words.push_back(word);
  }
  for (int64_t k = 0; k < links; ++k, at += 2) {
    const WordLink link{numbers[at], numbers[at + 1]};
    if (link.a < 0 || link.b <= link.a || link.b >= words) return false;
    linkage.links.push_back(link);
  }
  return true;
}

Syntax syntax_of_linkages(std::string_view text, std::span<const ByteSpan> sentences,
                          std::span<const Linkage> linkages) {
  Syntax syntax;
  syntax.words = split_words(text);
  for (size_t s = 0; s < sentences.size(); ++s) {
    const Linkage& linkage = linkages[s];
    if (!linkage.parsed()) {
      syntax.unparsed.push_back(sentences[s]);
      continue;
    }
    const std::vector<Range> ranges = overlaps(syntax.words, linkage.words, sentences[s].begin);
    for (const Range& range : ranges) {
      if (!is_long(range)) join(range, range, syntax.links);
      for (int32_t w = range.first; is_long(range) && w + 1 < range.last; ++w) {
        syntax.links.push_back({w, w + 1});
      }
    }
    for (const WordLink& link : linkage.links) {
      join(carriers(ranges[static_cast<size_t>(link.a)]),
           carriers(ranges[static_cast<size_t>(link.b)]), syntax.links);
    }
    if (linkage.root < 0) continue;
    if (const Range& root = ranges[static_cast<size_t>(linkage.root)]; root.first < root.last) {
      syntax.roots.push_back(root.first);
    }
  }
  return syntax;
}

}  // namespace filigree
