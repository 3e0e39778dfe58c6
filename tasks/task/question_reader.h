// QuestionReader: from questions with answers to features with their targets.
#pragma once

#include "tasks/dataset/features.h"
#include "tasks/task/target_reader.h"

namespace filigree {

/// The features of every question, [CLS] question [SEP] part of the context [SEP]. The target of a
/// feature is the span of the tokens that stand on the question's first answer, if all of them are
/// in the feature, and [CLS] otherwise.
class QuestionReader final : public TargetReader {
 public:
  /// Throws ConfigError for labels, which questions have none of, and as check().
  explicit QuestionReader(const TargetOptions& options);
  std::vector<std::string> text_columns() const override { return {"question", "context"}; }
  std::vector<std::string> columns() const override { return {"id"}; }
  bool needs_answers() const override { return true; }
  std::vector<Example> examples(const RecordTexts& record, DatasetWriter& writer) override;
  TargetReport finish(DatasetWriter& writer) override;

 private:
  const TokenizedText& context_of(const RecordTexts& record);

  FeatureOptions options_;
  TokenizedText context_;  // the last one: questions of a paragraph stand together
  int64_t questions_ = 0, features_ = 0, without_ = 0, cut_ = 0, unanswerable_ = 0;
};

}  // namespace filigree
