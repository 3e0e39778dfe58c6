#include "tasks/task/question_reader.h"

#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

QuestionReader::QuestionReader(const TargetOptions& options) : options_(options.features) {
  if (!options.labels.empty() || !options.map.empty()) {
    throw ConfigError("qa", "--labels and --label-map are for classes, not for answers",
                      "leave them out");
  }
  check(options_);
}

const TokenizedText& QuestionReader::context_of(const RecordTexts& record) {
  if (context_.pieces.empty() || context_.text != record.texts[1]) {
    const Syntax* syntax = record.syntax.size() > 1 ? &record.syntax[1] : nullptr;
    context_ = {};
    context_ = tokenize(record.where, record.tokenizer, record.texts[1], syntax);
  }
  return context_;
}

std::vector<Example> QuestionReader::examples(const RecordTexts& record, DatasetWriter& writer) {
  const TokenizedText question = tokenize(record.where, record.tokenizer, record.texts[0],
                                          record.syntax.empty() ? nullptr : &record.syntax[0]);
  const TokenizedText& context = context_of(record);
  std::vector<ContextPart> parts = make_parts(question, context, options_);
  const auto pieces = pieces_on(context.pieces, record.record.answers.front().place);

  std::vector<std::string> answers;
  for (const GivenAnswer& answer : record.record.answers) answers.push_back(answer.text);
  const int32_t number = writer.questions().add_question(record.values[0], context.text, answers);
  std::vector<Example> examples;
  bool found = false;
  for (ContextPart& part : parts) {
    Target target;
    target.feature = feature_of(part, number);
    if (pieces && part.begin <= pieces->first && pieces->second < part.end) {
      const size_t shift = part.first_token() - part.begin;
      target.feature->start = static_cast<int32_t>(pieces->first + shift);
      target.feature->end = static_cast<int32_t>(pieces->second + shift);
      found = true;
    } else {
      ++without_;
    }
    examples.push_back({std::move(part.sample), std::move(target)});
  }
  ++questions_;
  features_ += static_cast<int64_t>(examples.size());
  cut_ += examples.front().sample.truncated;
  unanswerable_ += !found;
  return examples;
}

TargetReport QuestionReader::finish(DatasetWriter& writer) {
  writer.info().unanswerable = unanswerable_;
  TargetReport report;
  report.notes.push_back(fmt::format("{} questions in {} features, {} of these without the answer",
                                     questions_, features_, without_));
  report.notes.push_back(
      fmt::format("{} questions whose answer is in no feature; {} questions cut to {} tokens",
                  unanswerable_, cut_, options_.max_question));
  return report;
}

}  // namespace filigree
