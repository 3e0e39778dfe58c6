// Exact match and F1 of answers, as SQuAD v1.1 defines them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace filigree {

/// What is left of an answer when it is compared, in words: lower case; without ASCII punctuation;
/// without the words a, an and the (a word is a run of letters, digits and other numerals); split
/// at white space. All as the definition's Python does it: str.lower() with its special cases,
/// string.punctuation, \b of Unicode patterns, str.split(). The text must be well-formed UTF-8.
/// Source: Rajpurkar et al. 2016 (arXiv 1606.05250), section 6.1, and the evaluation that was
/// published with SQuAD v1.1.
std::vector<std::string> normalised_words(std::string_view answer);

struct AnswerScore {
  double exact = 0;  ///< 1 if the words are the same
  double f1 = 0;     ///< 2 p r / (p + r) of the words as a multiset; 0 if none is shared
};

/// Each of the two the greatest over the right answers; 0 without any. Cost O(bytes log words).
AnswerScore score_answer(std::string_view prediction, std::span<const std::string> right);

}  // namespace filigree
