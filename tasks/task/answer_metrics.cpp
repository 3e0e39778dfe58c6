#include "tasks/task/answer_metrics.h"

#include <algorithm>
#include <map>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include "tasks/text/utf8.h"

namespace filigree {

namespace {

/// string.punctuation: all visible ASCII characters but letters and digits.
bool is_punctuation(UChar32 c) {
  const bool visible = c > 0x20 && c < 0x7f;
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return visible && !letter && !(c >= '0' && c <= '9');
}

/// What str.split() splits at: white space by category Zs or by bidirectional class WS, B or S.
bool is_space(UChar32 c) {
  if (u_charType(c) == U_SPACE_SEPARATOR) return true;
  const UCharDirection direction = u_charDirection(c);
  return direction == U_WHITE_SPACE_NEUTRAL || direction == U_BLOCK_SEPARATOR ||
         direction == U_SEGMENT_SEPARATOR;
}

/// \w of a Unicode pattern, the underscore aside, which is punctuation: letters and whatever has a
/// numeric value. Marks are none.
bool is_in_word(UChar32 c) { return u_isalpha(c) || u_getNumericValue(c) != U_NO_NUMERIC_VALUE; }

bool is_article(const icu::UnicodeString& word) {
  return word == u"a" || word == u"an" || word == u"the";
}

std::string utf8_of(const icu::UnicodeString& text) {
  std::string bytes;
  text.toUTF8String(bytes);
  return bytes;
}

AnswerScore score_words(const std::vector<std::string>& words,
                        const std::vector<std::string>& right) {
  AnswerScore score;
  score.exact = words == right ? 1 : 0;
  std::map<std::string_view, int64_t> left;
  for (const std::string& word : right) ++left[word];
  int64_t shared = 0;
  for (const std::string& word : words) {
    const auto found = left.find(word);
    if (found == left.end() || found->second == 0) continue;
    --found->second;
    ++shared;
  }
  if (shared == 0) return score;
  const double precision = static_cast<double>(shared) / static_cast<double>(words.size());
  const double recall = static_cast<double>(shared) / static_cast<double>(right.size());
  score.f1 = (2 * precision * recall) / (precision + recall);
  return score;
}

}  // namespace

std::vector<std::string> normalised_words(std::string_view answer) {
  const icu::StringPiece piece(answer.data(), static_cast<int32_t>(answer.size()));
  const icu::UnicodeString lower =
      icu::UnicodeString::fromUTF8(piece).toLower(icu::Locale::getRoot());
  icu::UnicodeString bare;
  for (int32_t at = 0; at < lower.length(); at = lower.moveIndex32(at, 1)) {
    const UChar32 c = lower.char32At(at);
    if (!is_punctuation(c)) bare.append(c);
  }
  // A run of word characters is an article as a whole or not at all; an article leaves a space.
  std::vector<std::string> words;
  icu::UnicodeString word, run;
  const auto end_word = [&] {
    if (!word.isEmpty()) words.push_back(utf8_of(word));
    word.remove();
  };
  const auto end_run = [&] {
    if (is_article(run)) {
      end_word();
    } else {
      word.append(run);
    }
    run.remove();
  };
  for (int32_t at = 0; at < bare.length(); at = bare.moveIndex32(at, 1)) {
    const UChar32 c = bare.char32At(at);
    if (is_in_word(c)) {
      run.append(c);
      continue;
    }
    end_run();
    if (is_space(c)) {
      end_word();
    } else {
      word.append(c);
    }
  }
  end_run();
  end_word();
  return words;
}

AnswerScore score_answer(std::string_view prediction, std::span<const std::string> right) {
  const std::vector<std::string> words = normalised_words(prediction);
  AnswerScore best;
  for (const std::string& answer : right) {
    const AnswerScore score = score_words(words, normalised_words(answer));
    best.exact = std::max(best.exact, score.exact);
    best.f1 = std::max(best.f1, score.f1);
  }
  return best;
}

}  // namespace filigree
