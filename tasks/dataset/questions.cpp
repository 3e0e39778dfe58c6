#include "tasks/dataset/questions.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/error.h"
#include "core/safetensors.h"

namespace filigree {

namespace {

template <class T>
void add(SafetensorsWriter& writer, const std::string& name, const std::vector<T>& values,
         int64_t columns = 1) {
  const auto count = static_cast<int64_t>(values.size());
  const Shape shape = columns == 1 ? Shape{count} : Shape{count / columns, columns};
  writer.add_array<T>(name, std::span<const T>(values), shape);
}

}  // namespace

void TextRow::add(std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
  offsets.push_back(static_cast<int64_t>(bytes.size()));
}

int32_t QuestionWriter::add_question(std::string_view id, std::string_view context,
                                     std::span<const std::string> answers) {
  ids_.add(id);
  if (contexts_.size() == 0 || context != last_context_) {
    contexts_.add(context);
    last_context_ = context;
  }
  context_of_.push_back(static_cast<int32_t>(contexts_.size()) - 1);
  for (const std::string& answer : answers) answers_.add(answer);
  answer_offsets_.push_back(answers_.size());
  return static_cast<int32_t>(ids_.size()) - 1;
}

void QuestionWriter::add_feature(const Feature& feature, size_t length) {
  const auto fail = [&](std::string_view what) {
    throw DataError("dataset", fmt::format("sample {}: {}", features(), what));
  };
  if (feature.question + 1 != ids_.size()) fail("a feature that is not of the last question");
  if (feature.begins.size() != length || feature.ends.size() != length) {
    fail("as many places as ids are needed");
  }
  if (feature.start < 0 || feature.end < feature.start ||
      feature.end >= static_cast<int64_t>(length)) {
    fail(fmt::format("no span of its {} tokens: {} to {}", length, feature.start, feature.end));
  }
  questions_.push_back(feature.question);
  spans_.push_back(feature.start);
  spans_.push_back(feature.end);
  for (size_t i = 0; i < length; ++i) {
    places_.push_back(feature.begins[i]);
    places_.push_back(feature.ends[i]);
  }
}

void QuestionWriter::save(SafetensorsWriter& writer) const {
  add(writer, "spans", spans_, 2);
  add(writer, "places", places_, 2);
  add(writer, "questions", questions_);
  add(writer, "question_contexts", context_of_);
  add(writer, "question_answers", answer_offsets_);
  add(writer, "question_ids", ids_.bytes);
  add(writer, "question_id_offsets", ids_.offsets);
  add(writer, "contexts", contexts_.bytes);
  add(writer, "context_offsets", contexts_.offsets);
  add(writer, "answers", answers_.bytes);
  add(writer, "answer_offsets", answers_.offsets);
}

std::string_view Questions::Texts::at(int64_t i) const {
  const auto first = static_cast<size_t>(offsets[static_cast<size_t>(i)]);
  const auto end = static_cast<size_t>(offsets[static_cast<size_t>(i) + 1]);
  return {reinterpret_cast<const char*>(bytes.data()) + first, end - first};
}

Questions::Questions(const SafetensorsFile& file, std::span<const int64_t> offsets,
                     const std::function<void(const std::string&)>& fail) {
  const size_t samples = offsets.size() - 1;
  const auto ascending = [&](const char* name, std::span<const int64_t> values, int64_t last) {
    if (values.empty() || values.front() != 0 || values.back() != last ||
        !std::is_sorted(values.begin(), values.end())) {
      fail(fmt::format("\"{}\" does not ascend from 0 to {}", name, last));
    }
  };
  const auto texts = [&](const char* name, const char* offsets_name) {
    Texts result{file.array<uint8_t>(name), file.array<int64_t>(offsets_name)};
    ascending(offsets_name, result.offsets, static_cast<int64_t>(result.bytes.size()));
    for (int64_t i = 0; i < result.size(); ++i) {
      if (invalid_utf8(result.at(i))) fail(fmt::format("text {} of \"{}\" is not UTF-8", i, name));
    }
    return result;
  };
  ids_ = texts("question_ids", "question_id_offsets");
  contexts_ = texts("contexts", "context_offsets");
  answers_ = texts("answers", "answer_offsets");
  context_of_ = file.array<int32_t>("question_contexts");
  answers_of_ = file.array<int64_t>("question_answers");
  ascending("question_answers", answers_of_, answers_.size());
  if (static_cast<int64_t>(context_of_.size()) != ids_.size() ||
      answers_of_.size() != context_of_.size() + 1) {
    fail("ids, contexts and answers of the questions differ in number");
  }
  for (const int32_t c : context_of_) {
    if (c < 0 || c >= contexts_.size()) fail("a question's context is not there");
  }
  question_of_ = file.array<int32_t>("questions");
  spans_ = file.array<int32_t>("spans");
  places_ = file.array<int32_t>("places");
  if (question_of_.size() != samples || spans_.size() != 2 * samples ||
      static_cast<int64_t>(places_.size()) != 2 * offsets.back()) {
    fail("expected a question and a span a sample, and a place a token");
  }
  for (size_t i = 0; i < samples; ++i) {
    const int64_t length = offsets[i + 1] - offsets[i];
    const int32_t q = question_of_[i], before = i == 0 ? -1 : question_of_[i - 1];
    if (q < std::max(before, 0) || q >= size()) {
      fail(fmt::format("sample {} is of no question, or late", i));
    }
    if (q > before + 1 || (i + 1 == samples && q + 1 != size())) {
      fail(fmt::format("a question has no sample: sample {} is of number {} of {}", i, q, size()));
    }
    if (spans_[2 * i] < 0 || spans_[2 * i + 1] < spans_[2 * i] || spans_[2 * i + 1] >= length) {
      fail(fmt::format("the span of sample {} is outside its {} tokens", i, length));
    }
    const auto bytes = static_cast<int64_t>(context(q).size());
    const std::span<const int32_t> bounds = places(offsets[i], offsets[i + 1]);
    for (size_t t = 0; t < bounds.size(); t += 2) {
      const bool none = bounds[t] == -1 && bounds[t + 1] == -1;
      if (!none && (bounds[t] < 0 || bounds[t + 1] < bounds[t] || bounds[t + 1] > bytes)) {
        fail(fmt::format("a token of sample {} is outside its context", i));
      }
    }
  }
}

std::span<const int32_t> Questions::span(int64_t sample) const {
  return spans_.subspan(2 * static_cast<size_t>(sample), 2);
}

std::span<const int32_t> Questions::places(int64_t begin, int64_t end) const {
  return places_.subspan(2 * static_cast<size_t>(begin), 2 * static_cast<size_t>(end - begin));
}

std::string_view Questions::id(int64_t question) const { return ids_.at(question); }

std::string_view Questions::context(int64_t question) const {
  return contexts_.at(context_of_[static_cast<size_t>(question)]);
}

std::vector<std::string> Questions::answers(int64_t question) const {
  const auto q = static_cast<size_t>(question);
  std::vector<std::string> texts;
  for (int64_t i = answers_of_[q]; i < answers_of_[q + 1]; ++i) texts.emplace_back(answers_.at(i));
  return texts;
}

}  // namespace filigree
