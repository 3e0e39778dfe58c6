#include "tasks/syntax/syntax.h"

#include <algorithm>

namespace filigree {

namespace {

/// The word whose pieces stand for each word: itself, if it has one.
std::vector<int32_t> owners(std::span<const ByteSpan> words, std::span<const Piece> pieces) {
  std::vector<int32_t> owner(words.size(), -1);
  for (const Piece& piece : pieces) owner[static_cast<size_t>(piece.word)] = piece.word;
  size_t next = 0;  // the first piece that begins at or behind the word's end
  for (size_t w = 0; w < words.size(); ++w) {
    while (next < pieces.size() && pieces[next].begin < words[w].end) ++next;
    if (owner[w] < 0) owner[w] = pieces[next > 0 ? next - 1 : 0].word;
  }
  return owner;
}

WordLink ordered(int32_t a, int32_t b) { return {std::min(a, b), std::max(a, b)}; }

}  // namespace

Syntax syntax_of_tree(std::span<const TreeWord> tree) {
  Syntax syntax;
  std::vector<int32_t> word_of;  // (tree words) index among the places
  for (const TreeWord& word : tree) {
    if (syntax.words.empty() || !(syntax.words.back() == word.span)) {
      syntax.words.push_back(word.span);
      syntax.lemmas.push_back(word.lemma);
    } else {
      syntax.lemmas.back().clear();
    }
    word_of.push_back(static_cast<int32_t>(syntax.words.size()) - 1);
  }
  for (size_t w = 0; w < tree.size(); ++w) {
    if (tree[w].head < 0) {
      syntax.roots.push_back(word_of[w]);
    } else if (const int32_t head = word_of[static_cast<size_t>(tree[w].head)];
               head != word_of[w]) {
      syntax.links.push_back(ordered(word_of[w], head));
    }
  }
  return syntax;
}

WordForest span_forest(const Syntax& syntax, std::span<const Piece> pieces) {
  WordForest forest;
  forest.heads.assign(syntax.words.size(), -1);
  if (pieces.empty()) return forest;
  const std::vector<int32_t> owner = owners(syntax.words, pieces);
  std::vector<WordLink> links;
  for (const WordLink& link : syntax.links) {
    const int32_t a = owner[static_cast<size_t>(link.a)], b = owner[static_cast<size_t>(link.b)];
    if (a == b) continue;  // pieces of one word are together anyway
    links.push_back({a, b});
    links.push_back({b, a});
  }
  std::sort(links.begin(), links.end());
  links.erase(std::unique(links.begin(), links.end()), links.end());

  std::vector<int32_t> starts, queue;
  for (const int32_t root : syntax.roots) starts.push_back(owner[static_cast<size_t>(root)]);
  for (const WordLink& link : links) starts.push_back(link.a);
  std::vector<bool> seen(syntax.words.size(), false);
  for (const int32_t start : starts) {
    if (seen[static_cast<size_t>(start)]) continue;
    seen[static_cast<size_t>(start)] = true;
    queue.assign(1, start);
    for (size_t at = 0; at < queue.size(); ++at) {
      const int32_t word = queue[at];
      for (auto link = std::lower_bound(links.begin(), links.end(), WordLink{word, -1});
           link != links.end() && link->a == word; ++link) {
        const auto other = static_cast<size_t>(link->b);
        if (!seen[other]) {
          seen[other] = true;
          forest.heads[other] = word;
          queue.push_back(link->b);
        }
      }
    }
  }
  for (const WordLink& link : links) {
    if (link.a < link.b && forest.heads[static_cast<size_t>(link.a)] != link.b &&
        forest.heads[static_cast<size_t>(link.b)] != link.a) {
      forest.links.push_back(link);
    }
  }
  return forest;
}

}  // namespace filigree
