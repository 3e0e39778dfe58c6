// syntax: tokens near each other in the dependency tree.
#include <fmt/format.h>

#include "attention/patterns/kind.h"
#include "attention/patterns/neighbour_lists.h"

namespace filigree {

namespace {

/// The graph of the words of a sequence: an undirected edge between every word and its head, and
/// for every further link.
class WordGraph {
 public:
  explicit WordGraph(const SequenceView& sequence) {
    // Numbers of words may be anything that ascends somehow: numbered anew from 0, in order.
    for (const auto& numbers : {sequence.words, sequence.heads, sequence.links}) {
      for (const int32_t w : numbers) {
        if (w >= 0) words_.push_back(w);
      }
    }
    std::sort(words_.begin(), words_.end());
    words_.erase(std::unique(words_.begin(), words_.end()), words_.end());
    const size_t tokens = sequence.words.size();
    token_offsets_.assign(words_.size() + 1, 0);
    link_offsets_.assign(words_.size() + 1, 0);
    for (size_t i = 0; i < tokens; ++i) {
      token_word_.push_back(number(sequence.words[i]));
      token_head_.push_back(number(sequence.heads[i]));
      if (token_word_[i] < 0) continue;
      ++token_offsets_[static_cast<size_t>(token_word_[i]) + 1];
      if (!linked(i)) continue;
      ++link_offsets_[static_cast<size_t>(token_word_[i]) + 1];
      ++link_offsets_[static_cast<size_t>(token_head_[i]) + 1];
    }
    std::vector<int32_t> further;  // pairs
    for (size_t k = 0; k + 1 < sequence.links.size(); k += 2) {
      if (sequence.links[k] < 0 || sequence.links[k + 1] < 0) continue;  // no words
      further.push_back(number(sequence.links[k]));
      further.push_back(number(sequence.links[k + 1]));
    }
    for (const int32_t word : further) ++link_offsets_[static_cast<size_t>(word) + 1];
    for (size_t w = 0; w < words_.size(); ++w) {
      token_offsets_[w + 1] += token_offsets_[w];
      link_offsets_[w + 1] += link_offsets_[w];
    }
    tokens_.resize(static_cast<size_t>(token_offsets_.back()));
    links_.resize(static_cast<size_t>(link_offsets_.back()));
    std::vector<int32_t> token_end(token_offsets_), link_end(link_offsets_);
    for (size_t i = 0; i < tokens; ++i) {
      const int32_t word = token_word_[i], head = token_head_[i];
      if (word < 0) continue;
      tokens_[next(token_end, word)] = static_cast<int32_t>(i);
      if (!linked(i)) continue;
      links_[next(link_end, word)] = head;
      links_[next(link_end, head)] = word;
    }
    for (size_t k = 0; k + 1 < further.size(); k += 2) {
      links_[next(link_end, further[k])] = further[k + 1];
      links_[next(link_end, further[k + 1])] = further[k];
    }
  }

  /// For every word the tokens of all words at most `reach` edges away, breadth first.
  NeighbourLists lists(int64_t reach) const {
    NeighbourLists lists;
    lists.list_of = token_word_;
    std::vector<int32_t> seen(words_.size(), -1), queue, columns;
    for (int32_t word = 0; word < static_cast<int32_t>(words_.size()); ++word) {
      queue.assign(1, word);
      seen[static_cast<size_t>(word)] = word;
      size_t first = 0;
      for (int64_t edges = 0; edges < reach && first < queue.size(); ++edges) {
        for (const size_t last = queue.size(); first < last; ++first) {
          for (const int32_t other : of(link_offsets_, links_, queue[first])) {
            if (seen[static_cast<size_t>(other)] == word) continue;
            seen[static_cast<size_t>(other)] = word;
            queue.push_back(other);
          }
        }
      }
      columns.clear();
      for (const int32_t other : queue) {
        const auto pieces = of(token_offsets_, tokens_, other);
        columns.insert(columns.end(), pieces.begin(), pieces.end());
      }
      lists.add_list(columns);
    }
    return lists;
  }

 private:
  int32_t number(int32_t word) const {
    if (word < 0) return -1;
    return static_cast<int32_t>(std::lower_bound(words_.begin(), words_.end(), word) -
                                words_.begin());
  }
  /// Links once a word, whatever the number of its pieces: with its first one that has a head.
  bool linked(size_t i) const {
    if (token_head_[i] < 0 || token_head_[i] == token_word_[i]) return false;
    return i == 0 || token_word_[i - 1] != token_word_[i] || token_head_[i - 1] != token_head_[i];
  }
  static size_t next(std::vector<int32_t>& ends, int32_t word) {
    return static_cast<size_t>(ends[static_cast<size_t>(word)]++);
  }
  static std::span<const int32_t> of(const std::vector<int32_t>& offsets,
                                     const std::vector<int32_t>& items, int32_t word) {
    const auto w = static_cast<size_t>(word);
    return std::span(items).subspan(static_cast<size_t>(offsets[w]),
                                    static_cast<size_t>(offsets[w + 1] - offsets[w]));
  }

  std::vector<int32_t> words_;                    // numbers of words that occur, ascending
  std::vector<int32_t> token_word_, token_head_;  // (n)
  std::vector<int32_t> token_offsets_, tokens_;   // the tokens of every word
  std::vector<int32_t> link_offsets_, links_;     // the linked words of every word
};

}  // namespace

// i sees j if the path between their words in the tree, or in the links of a link grammar, taken as
// undirected, has at most t edges; the pieces of one word are 0 edges apart. Special tokens have no
// word and see nothing here. Cost O(n log n + edges log edges a row).
PatternKind syntax_pattern() {
  return {
      {"syntax", "syntax:t",
       "tokens at most t edges away in the dependency tree; the pieces of one word are together"},
      [](PatternArguments& arguments) {
        arguments.expect_count(1, 1);
        const int64_t reach = arguments.number(0, "number of tree edges", 0);
        const std::string text = fmt::format("syntax:{}", reach);
        return list_pattern(text, kReadsTrees, [text, reach](const SequenceView& sequence) {
          expect_data(sequence, sequence.words.size(), text, "word index",
                      "prepare the dataset with `filigree prepare`, which keeps it");
          expect_data(sequence, sequence.heads.size(), text, "dependency heads",
                      "prepare the dataset from trees (CoNLL-U), or with --parse");
          return WordGraph(sequence).lists(reach);
        });
      },
      {"0"}};
}

}  // namespace filigree
