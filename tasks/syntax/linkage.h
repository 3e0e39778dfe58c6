// Linkage: what a parse of one sentence gave.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/syntax/syntax.h"

namespace filigree {

enum class ParseOutcome : int32_t {
  complete,   ///< every word is linked
  partial,    ///< the best parse leaves words out
  timed_out,  ///< the time limit came first: no links
  refused,    ///< too long, or the parser failed on it: no links
};

/// The words of a sentence and the links between them, as the parser sees them.
struct Linkage {
  ParseOutcome outcome = ParseOutcome::refused;
  int32_t limit_ms = 0;         ///< time limit that it was parsed under, milliseconds
  int32_t root = -1;            ///< the word that heads the sentence, -1 if unknown
  std::vector<ByteSpan> words;  ///< places in the sentence, ascending, disjoint, not empty
  std::vector<WordLink> links;  ///< between `words`

  bool parsed() const {
    return outcome == ParseOutcome::complete || outcome == ParseOutcome::partial;
  }
};

/// The linkage as numbers: outcome, limit, root, words, links, then begin and end of every word, a
/// and b of every link.
std::vector<int32_t> pack(const Linkage& linkage);
/// The inverse. False, and `linkage` undefined, unless the numbers are a linkage of a sentence of
/// so many bytes.
bool unpack(std::span<const int32_t> numbers, int64_t sentence_bytes, Linkage& linkage);

/// The words of the text (split_words) with the links of its sentences. A link of two words of the
/// parser joins all words of the text that overlap one with all that overlap the other, and what
/// the parser takes for one word ("U.S.") is joined: by offsets only. Where that is more than 8
/// words (an address), they form a chain, and the first of them carries the links. A sentence's
/// linkage refers to bytes of its sentence. Cost O(text + links).
Syntax syntax_of_linkages(std::string_view text, std::span<const ByteSpan> sentences,
                          std::span<const Linkage> linkages);

}  // namespace filigree
