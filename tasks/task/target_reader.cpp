#include "tasks/task/target_reader.h"

namespace filigree {

std::vector<Example> TargetReader::examples(const RecordTexts& record, DatasetWriter&) {
  Example example;
  example.sample =
      make_sample(record.where, record.tokenizer, record.texts, record.max_length, record.syntax);
  std::optional<Target> target = read(record.where, record.values, record.record, example.sample);
  if (!target) return {};
  example.target = std::move(*target);
  return {std::move(example)};
}

std::optional<Target> TargetReader::read(const std::string&, std::vector<std::string>,
                                         const Record&, const Sample&) {
  return Target{};
}

}  // namespace filigree
