// Questions: what a dataset of extractive question answering holds beside its tokens.
//
// A question is asked of a context. Its text is too long for one sample, so that there are several
// features a question: samples of the question with a part of the context each, which stand one
// behind the other. Everything that turns a feature's tokens into an answer's text, and compares it
// with the right ones, is in the file.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/text/utf8.h"

namespace filigree {

class SafetensorsFile;
class SafetensorsWriter;

/// A part of a context, with the question before it.
struct Feature {
  int32_t question = 0;  ///< its number, from 0; ascending
  int32_t start = 0;     ///< first token of the answer in the sample; 0: the answer is not here
  int32_t end = 0;       ///< last token of the answer
  std::vector<int32_t> begins, ends;  ///< (n) bytes [begin, end) of the token in the context; -1
                                      ///< for tokens that are not of the context
};

/// Texts in one row of bytes.
struct TextRow {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> offsets{0};  // (number + 1)
  void add(std::string_view text);
  int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

/// Collects questions for a DatasetWriter.
class QuestionWriter {
 public:
  /// A question with all its right answers; a context equal to the one before is stored once.
  /// Returns its number.
  int32_t add_question(std::string_view id, std::string_view context,
                       std::span<const std::string> answers);
  /// The feature of the next sample. Throws DataError unless it is of the last question.
  void add_feature(const Feature& feature, size_t length);
  bool empty() const { return spans_.empty(); }
  int64_t features() const { return static_cast<int64_t>(spans_.size() / 2); }
  /// Keeps references to this object.
  void save(SafetensorsWriter& writer) const;

 private:
  TextRow ids_, contexts_, answers_;
  std::string last_context_;
  std::vector<int32_t> context_of_;         // (Q)
  std::vector<int64_t> answer_offsets_{0};  // (Q+1)
  std::vector<int32_t> questions_;          // (N)
  std::vector<int32_t> spans_;              // (N, 2)
  std::vector<int32_t> places_;             // (T, 2)
};

/// The questions of an open dataset; a view of the file.
///
/// Arrays: `spans` (N, 2) i32: first and last token of the answer in the sample, 0 and 0 ([CLS]) if
/// it is not in this part; `places` (T, 2) i32: bytes of the token in the context, -1 for tokens
/// that are not of it; `questions` (N) i32: number of the question, not descending; `contexts` u8
/// and `context_offsets` (C+1) i64: the texts; `question_contexts` (Q) i32: whose; `question_ids`
/// u8 and `question_id_offsets` (Q+1) i64; `answers` u8 and `answer_offsets` (A+1) i64: the right
/// answers' texts; `question_answers` (Q+1) i64: which are whose.
class Questions {
 public:
  Questions() = default;
  /// Reads and checks the arrays of a dataset with these offsets (N+1). `fail` throws.
  Questions(const SafetensorsFile& file, std::span<const int64_t> offsets,
            const std::function<void(const std::string&)>& fail);

  bool empty() const { return question_of_.empty(); }
  int64_t size() const { return static_cast<int64_t>(context_of_.size()); }
  /// Number of a sample's question.
  int32_t of_sample(int64_t sample) const { return question_of_[static_cast<size_t>(sample)]; }
  std::span<const int32_t> span(int64_t sample) const;                // (2) first and last token
  std::span<const int32_t> places(int64_t begin, int64_t end) const;  // (end - begin, 2) of tokens
  std::string_view id(int64_t question) const;
  std::string_view context(int64_t question) const;
  std::vector<std::string> answers(int64_t question) const;

 private:
  struct Texts {
    std::span<const uint8_t> bytes;
    std::span<const int64_t> offsets;
    int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
    std::string_view at(int64_t i) const;
  };
  std::span<const int32_t> question_of_, spans_, places_, context_of_;
  std::span<const int64_t> answers_of_;
  Texts ids_, contexts_, answers_;
};

}  // namespace filigree
