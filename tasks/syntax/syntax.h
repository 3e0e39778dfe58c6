// Syntax of a text: its words and the links between them, carried over to the words that have
// tokens.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tasks/readers/record_reader.h"
#include "tasks/text/utf8.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

/// An undirected link between two words. Of a set of links each stands once, with a < b.
struct WordLink {
  int32_t a = 0, b = 0;
  auto operator<=>(const WordLink&) const = default;
};

/// Words of a text and what links them: a dependency tree, or the linkages of a link grammar,
/// which may have cycles and several components.
struct Syntax {
  std::vector<ByteSpan> words;      ///< the words of the text: ascending, disjoint
  std::vector<std::string> lemmas;  ///< (words) or empty; "" where there is none
  std::vector<WordLink> links;      ///< between indices of `words`, in any order
  std::vector<int32_t> roots;       ///< words that head a sentence, where that is known
  std::vector<ByteSpan> unparsed;   ///< sentences that could not be parsed: their words lack links
};

/// A tree as Syntax. The words of a contraction ("don't") share a place in the text: they become
/// one word with the links of both and no lemma. Cost O(words log words).
Syntax syntax_of_tree(std::span<const TreeWord> tree);

/// The links of a text as a forest and the links beyond it. `heads[w]` and w are linked wherever
/// heads[w] >= 0; the links that these do not show, those that close a cycle, are in `links`.
/// Together they are all links, each once.
struct WordForest {
  std::vector<int32_t> heads;   // (words) head of every word, -1 for a root or a word on its own
  std::vector<WordLink> links;  // ascending, a < b
};

/// Spans a forest over the links, breadth first from the roots (then from the lowest word that is
/// left), so that a tree keeps its heads. A word without a piece of its own counts to the word of
/// the last piece that begins before its end ("..." may be three words and one piece): no link is
/// lost, and linked words have pieces. `pieces`: those of the text, by encode(text, syntax.words).
/// Cost O(words + pieces + links log links).
WordForest span_forest(const Syntax& syntax, std::span<const Piece> pieces);

}  // namespace filigree
