// BERT's basic tokenizer: text to cleaned words whose characters know where they came from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/text/utf8.h"

namespace filigree {

struct BertTextRules {
  bool lower_case = true;
  bool strip_accents = true;
  bool split_cjk = true;
};

/// One word of cleaned text.
struct BertWord {
  /// Longer words are unknown to WordPiece, so that their text is not kept.
  static constexpr size_t kLongest = 100;

  bool too_long = false;         ///< more than kLongest characters
  ByteSpan span;                 ///< in the original text
  std::string text;              ///< cleaned, UTF-8; not whole if too_long
  std::vector<size_t> ends;      ///< of every character: where it ends in `text`
  std::vector<ByteSpan> places;  ///< of every character: the original character that it came from
};

/// Calls `visit` with every word of a text, in order; the word is valid during the call only.
///
/// In this order: control, format, private-use and NUL characters and U+FFFD go; ideographs (the
/// blocks of BERT) stand alone; with strip_accents the text is decomposed canonically (NFD) and
/// loses its nonspacing marks (Mn); with lower_case it is put in lower case, character by
/// character. Words end at white space; a punctuation character (all of ASCII that is neither
/// letter, digit, blank nor control, and Unicode's P*) is a word by itself. Characters that come
/// of one share its place, and several marks that decomposition puts in another order take their
/// places in the order of the text.
///
/// Equal to the `tokenizers` library (BertNormalizer and BertPreTokenizer 0.23), which knows the
/// categories of Unicode 8 and the decompositions of Unicode 12 whatever ICU knows; and so are the
/// two faults in its tables: U+166D is punctuation, U+2B820 to U+2B91F are no ideographs. (Lower
/// case is ICU's; the library's is Unicode 16's.) The text must be well-formed UTF-8. Cost
/// O(bytes); memory O(longest run of marks).
void for_each_bert_word(std::string_view text, const BertTextRules& rules,
                        const std::function<void(const BertWord&)>& visit);

/// What for_each_bert_word() makes of a text, its words divided by one space.
std::string bert_text(std::string_view text, const BertTextRules& rules);

}  // namespace filigree
