// The best answers to a question over all its features.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "tasks/dataset/questions.h"

namespace filigree {

struct AnswerLimits {
  int64_t max_tokens = 30;  ///< an answer has so many tokens at most
  int64_t best = 20;        ///< so many answers are kept
};

struct Answer {
  ByteSpan place;          ///< in the context
  double score = 0;        ///< start logit + end logit
  double probability = 0;  ///< softmax of the scores of all answers that were kept
};

/// Gathers answers feature by feature. An answer is a span from a token of the context to the same
/// or a later one, of at most max_tokens tokens; of spans on the same bytes the best counts,
/// whatever feature it is from. Every span is looked at, not only those of the best starts and
/// ends. Better is the greater score, then the earlier begin, then the earlier end: the features'
/// order does not matter.
class AnswerSearch {
 public:
  explicit AnswerSearch(const AnswerLimits& limits);

  /// logits: those of the model, rows [row, row + n) being the feature's tokens, start and end;
  /// places (n, 2): as Questions::places(). Cost O(n max_tokens). A NaN is no answer.
  void add(const Tensor& logits, int64_t row, std::span<const int32_t> places);
  /// The best ones, best first; none if there was no token.
  std::vector<Answer> best() const;
  void clear() { top_.clear(); }

 private:
  void consider(const Answer& answer);

  AnswerLimits limits_;
  std::vector<Answer> top_;  // best first, each place once
};

/// The text on these bytes of a context, of whole characters and without white space around it.
std::string answer_text(std::string_view context, const ByteSpan& place);

}  // namespace filigree
